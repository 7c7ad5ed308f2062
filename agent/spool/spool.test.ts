import { appendFileSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Env } from '../../base/env.ts';
import { systemClock } from '../../base/clock.ts';
import { silentLogger } from '../../base/log.ts';
import { NO_USAGE, type AttemptReport } from '../../cache/action/result.ts';
import { digestOf } from '../../cache/digest.ts';
import { ROOT } from '../../test/fixtures/root.ts';
import { startNode } from '../../test/fixtures/run-process.ts';
import { tempDir } from '../../test/fixtures/temp-dir.ts';
import { until } from '../../test/fixtures/until.ts';
import { CUT_MARK } from './attempt-log.ts';
import { openSpool, type Spool } from './spool.ts';

const env: Env = { log: silentLogger, clock: systemClock };

const REPORT: AttemptReport = {
  kind: 'succeeded',
  result: { exitCode: 0, outputs: [], log: undefined, usage: NO_USAGE, agent: 'a', startedAt: 1, endedAt: 2 },
};

function open(dir: string, bytesMax = 1024 * 1024): Spool {
  return openSpool({ dir, bytesMax, env });
}

const lease = (token: string) => ({ token, build: 'b', step: 's', attempt: 1 });
const text = (bytes: Uint8Array) => Buffer.from(bytes).toString('utf8');
const never = (error: unknown) => expect.unreachable(String(error));

async function collect(chunks: AsyncIterable<Uint8Array>): Promise<string> {
  const parts: Uint8Array[] = [];
  for await (const chunk of chunks) parts.push(chunk);
  return Buffer.concat(parts).toString('utf8');
}

describe('what survives the agent', () => {
  test('a result that was not answered is there again, with its log', async () => {
    await using dir = await tempDir();
    {
      using spool = open(dir.path);
      spool.keepLease(lease('t.1'));
      spool.createLog('t.1', 1000, never).append(Buffer.from('hello'));
      spool.keepResult('t.1', REPORT);
    }
    using spool = open(dir.path);
    expect(spool.results).toEqual([{ token: 't.1', report: REPORT, logBytes: 5 }]);
    expect(text(spool.readLog('t.1', 1, 100))).toBe('ello');
  });

  test('a forgotten result is not', async () => {
    await using dir = await tempDir();
    {
      using spool = open(dir.path);
      spool.keepResult('t.1', REPORT);
      spool.forget('t.1');
    }
    using spool = open(dir.path);
    expect(spool.results).toEqual([]);
  });

  test('an attempt that was under way is told as lost, once, and leaves no log', async () => {
    await using dir = await tempDir();
    {
      using spool = open(dir.path);
      spool.keepLease(lease('t.1'));
      spool.createLog('t.1', 1000, never).append(Buffer.from('hello'));
    }
    {
      using spool = open(dir.path);
      expect(spool.lost).toEqual([lease('t.1')]);
      expect(spool.results).toEqual([]);
    }
    using spool = open(dir.path);
    expect(spool.lost).toEqual([]);
    expect(readdirSync(join(dir.path, 'logs'))).toEqual([]);
  });

  test('a torn or damaged line of the journal costs that line only', async () => {
    await using dir = await tempDir();
    const journal = join(dir.path, 'journal.jsonl');
    {
      using spool = open(dir.path);
      spool.keepResult('t.1', REPORT);
      appendFileSync(journal, 'not json\n');
      spool.keepResult('t.2', REPORT);
    }
    const whole = readFileSync(journal, 'utf8');
    for (let cut = whole.length - 1; cut > whole.length - 40; cut -= 1) {
      writeFileSync(journal, whole.slice(0, cut));
      using spool = open(dir.path);
      const tokens = spool.results.map(({ token }) => token);
      expect(tokens).toEqual(cut === whole.length - 1 ? ['t.1', 't.2'] : ['t.1']);
      spool.keepResult('t.3', REPORT);
      using again = open(dir.path);
      expect(again.results.map(({ token }) => token)).toEqual([...tokens, 't.3']);
    }
  });

  test('a journal that grows is rewritten without what was forgotten', async () => {
    await using dir = await tempDir();
    using spool = open(dir.path);
    spool.keepResult('kept', REPORT);
    for (let index = 0; index < 3_000; index += 1) {
      spool.keepResult(`t.${index}`, REPORT);
      spool.forget(`t.${index}`);
    }
    expect(readFileSync(join(dir.path, 'journal.jsonl')).length).toBeLessThan(300 * 1024);
    using again = open(dir.path);
    expect(again.results.map(({ token }) => token)).toEqual(['kept']);
  });

  test('every result that a killed process had spooled is there, in whole', async () => {
    await using dir = await tempDir();
    const script = join(dir.path, 'writer.ts');
    writeFileSync(
      script,
      `import { openSpool } from ${JSON.stringify(join(ROOT, 'agent/spool/spool.ts'))};
       const quiet = () => {};
       const log = { debug: quiet, info: quiet, warn: quiet, error: quiet, with: () => log };
       const env = { log, clock: { now: () => 0, monotonic: () => 0 } };
       const spool = openSpool({ dir: ${JSON.stringify(join(dir.path, 'spool'))}, bytesMax: 1e9, env });
       const report = ${JSON.stringify(REPORT)};
       for (let n = 1; ; n += 1) {
         spool.keepLease({ token: 't.' + n, build: 'b', step: 's', attempt: 1 });
         spool.createLog('t.' + n, 1e6, () => {}).append(Buffer.from('log of ' + n));
         spool.keepResult('t.' + n, report);
         if (n > 3) spool.forget('t.' + (n - 3));
         process.stdout.write(n + '\\n');
         if (n === 20000) process.exit(1);
       }`,
    );
    await using writer = startNode([script]);
    await until('some results are spooled', () => writer.stdout().split('\n').length > 200);
    writer.kill('SIGKILL');
    await writer.ended;
    const last = Number(writer.stdout().split('\n').at(-2));
    using spool = open(join(dir.path, 'spool'));
    const tokens = spool.results.map(({ token }) => token);
    expect(tokens).toContain(`t.${last}`);
    expect(tokens.length).toBeGreaterThanOrEqual(3);
    for (const { token, report, logBytes } of spool.results) {
      expect(report).toEqual(REPORT);
      expect(text(spool.readLog(token, 0, logBytes))).toBe(`log of ${token.slice(2)}`);
    }
  });
});

describe('logs', () => {
  test('a log keeps every byte and knows its digest', async () => {
    await using dir = await tempDir();
    using spool = open(dir.path);
    const log = spool.createLog('t.1', 1000, never);
    const bytes = Buffer.from([0, 255, 10, 195, 40]);
    log.append(bytes);
    log.append(bytes);
    const whole = Buffer.concat([bytes, bytes]);
    expect(log.sealed()).toEqual({ digest: digestOf(whole), truncated: false });
    expect(Buffer.from(log.read(3, 4))).toEqual(whole.subarray(3, 7));
    expect(await collect(log.stream())).toBe(whole.toString('utf8'));
  });

  test('the stream of a log that is gone before it is read fails its reader, and can be read again otherwise', async () => {
    await using dir = await tempDir();
    using spool = open(dir.path);
    const log = spool.createLog('t.1', 1_000_000, never);
    log.append(Buffer.alloc(600_000, 'x'));
    const stream = log.stream();
    expect([await collect(stream), await collect(stream)]).toEqual(['x'.repeat(600_000), 'x'.repeat(600_000)]);
    spool.forget('t.1');
    await expect(collect(stream)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  test('what comes after a log was closed goes into no other file', async () => {
    await using dir = await tempDir();
    using spool = open(dir.path);
    const first = spool.createLog('t.1', 1000, () => {});
    spool.forget('t.1');
    const second = spool.createLog('t.2', 1000, never);
    first.append(Buffer.from('late'));
    second.append(Buffer.from('own'));
    expect(await collect(second.stream())).toBe('own');
    expect(second.sealed()?.digest).toBe(digestOf(Buffer.from('own')));
  });

  test('an empty log is none', async () => {
    await using dir = await tempDir();
    using spool = open(dir.path);
    const log = spool.createLog('t.1', 1000, never);
    expect(log.sealed()).toBeUndefined();
    expect(await collect(log.stream())).toBe('');
  });

  test('beyond its limit a log is cut with a mark, and the rest is dropped', async () => {
    await using dir = await tempDir();
    using spool = open(dir.path);
    const log = spool.createLog('t.1', 100 + CUT_MARK.length, never);
    for (let index = 0; index < 50; index += 1) log.append(Buffer.from('0123456789'));
    expect(log.truncated).toBe(true);
    expect(await collect(log.stream())).toBe('0123456789'.repeat(10) + CUT_MARK);
    expect(log.sealed()?.digest).toBe(digestOf(Buffer.from('0123456789'.repeat(10) + CUT_MARK)));
  });

  test('all logs share the room of the spool, and give it back', async () => {
    await using dir = await tempDir();
    using spool = open(dir.path, 100);
    const first = spool.createLog('t.1', 1000, never);
    first.append(Buffer.alloc(80));
    const second = spool.createLog('t.2', 1000, never);
    second.append(Buffer.alloc(30));
    expect([first.truncated, second.truncated, second.size]).toEqual([false, true, 20 + CUT_MARK.length]);
    spool.forget('t.1');
    spool.forget('t.2');
    const third = spool.createLog('t.3', 1000, never);
    third.append(Buffer.alloc(100));
    expect(third.truncated).toBe(false);
  });

  test('a disk that takes no more cuts the log and says so once', async () => {
    const errors: unknown[] = [];
    await using dir = await tempDir();
    using spool = open(dir.path);
    const log = spool.createLog('t.1', 1000, (error) => errors.push(error));
    log.append(Buffer.from('ok'));
    log.close(); // the next write fails, as on a full disk
    log.append(Buffer.from('more'));
    log.append(Buffer.from('more'));
    expect(errors).toHaveLength(1);
    expect([log.size, log.truncated]).toEqual([2, true]);
    spool.createLog('t.1', 1000, never);
  });

  test('tokens never become paths', async () => {
    await using dir = await tempDir();
    using spool = open(dir.path);
    spool.createLog('../../escape', 1000, never).append(Buffer.from('x'));
    expect(text(spool.readLog('../../escape', 0, 10))).toBe('x');
    expect(readdirSync(dir.path).toSorted()).toEqual(['journal.jsonl', 'logs']);
  });
});
