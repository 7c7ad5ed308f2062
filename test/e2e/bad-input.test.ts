import { symlinkSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import { silentLogger } from '../../base/log.ts';
import { openDataPlane } from '../../cache/rpc/client.ts';
import { digestOf } from '../../cache/digest.ts';
import { encodeDirectory } from '../../cache/tree/directory.ts';
import type { BuildSnapshot } from '../../cli/build-view.ts';
import { digestToProto } from '../../proto/convert.ts';
import { runSwitchyard, startSwitchyard } from '../fixtures/run-process.ts';
import { tempDir } from '../fixtures/temp-dir.ts';
import { PATIENCE_MS, until } from '../fixtures/until.ts';
import { descendantsOf, peakMemoryOf } from './processes.ts';
import { endOf, logReaches, readLog, startRealYard, stepOf, submittedBy, writeFiles, type RealYard } from './real-yard.ts';

const never = new AbortController().signal;
const MIB = 1024 * 1024;

let yard: RealYard;

/** Runs a pipeline of these steps to its end, and gives the end with all that the command said. */
async function run(steps: string, files: Readonly<Record<string, string>> = {}) {
  await writeFiles(yard.work, { ...files, 'switchyard.yaml': `version: 1\nsteps:\n${steps}` });
  return runSwitchyard(['run', ...yard.at], { cwd: yard.work });
}

/** As `run`, with the build as the server has it afterwards. */
async function runBuild(steps: string, files: Readonly<Record<string, string>> = {}): Promise<BuildSnapshot> {
  await writeFiles(yard.work, { ...files, 'switchyard.yaml': `version: 1\nfailFast: false\nsteps:\n${steps}` });
  await using process = startSwitchyard(['run', '-o', 'json', ...yard.at], { cwd: yard.work });
  const build = await submittedBy(process);
  await process.ended;
  return endOf(yard.server, build);
}

/**
 * What every process of this yard loads before its own code: a wall clock that the test can set. SIGUSR2 makes a process read
 * by how much its clock is wrong from now on.
 */
function movableClock(file: string): string {
  return `import { readFileSync } from 'node:fs';
const real = Date.now;
let offset = 0;
Date.now = () => real() + offset;
process.on('SIGUSR2', () => { offset = Number(readFileSync(${JSON.stringify(file)}, 'utf8')); });
`;
}

beforeAll(async () => {
  yard = await startRealYard({
    agents: ['one', 'two'],
    agentArgs: ['--label', 'class=edge'],
    coordinatorArgs: ['--log-bytes-max', '16Mi'],
  });
}, PATIENCE_MS * 2);

afterAll(() => yard[Symbol.asyncDispose]());

describe('a build that cannot be', () => {
  test('a circle, an unknown need and paths that lead out are named with their place, and nothing is submitted', async () => {
    const { code, stderr } = await run(`  a: { run: x, needs: b, inputs: ['../secret'] }
  b: { run: x, needs: a, outputs: [/etc] }
  c: { run: x, needs: [aa] }
`);
    expect(code).toBe(2);
    expect(stderr).toContain('switchyard.yaml:3:3: error: steps.a.needs: the steps need each other in a circle: a → b → a');
    expect(stderr).toContain('steps.a.inputs[0]: "../secret" is not a path or pattern inside the work tree');
    expect(stderr).toContain('steps.b.outputs[0]: "/etc" is not a path inside the work tree');
    expect(stderr).toContain('steps.c.needs[0]: there is no step "aa"\n    fix: Did you mean "a"?');
  });

  test('100,001 steps in one file are refused', async () => {
    const { code, stderr } = await run(Array.from({ length: 100_001 }, (_, index) => `  s${index}: { run: x }\n`).join(''));
    expect(code).toBe(2);
    expect(stderr).toContain('the file is too large or nested too deep');
  });

  test('a script of 5 MB is refused with what to do instead', async () => {
    const { code, stderr } = await run(`  big: { run: '${'x'.repeat(5_000_000)}' }\n`);
    expect(code).toBe(1);
    expect(stderr).toMatch(/steps\[0\]\.command: the step "big" has 50000\d\d bytes of text, at most \d+ are taken/);
    expect(stderr).toContain('fix: Put a large script into a file of the inputs and run that.');
  });

  test('an input that is a link out of the tree is refused, and only where a step takes it', async () => {
    await writeFiles(yard.work, { 'links/inside': 'x' });
    symlinkSync('/etc/passwd', join(yard.work, 'links/outside'));
    const refused = await run(`  a: { run: cat links/outside, inputs: [links], timeout: 1m }\n`);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain('"links/outside" is a link to "/etc/passwd", which is out of the tree');
    expect((await run(`  a: { run: cat links/inside, inputs: [links/inside], timeout: 1m }\n`)).code).toBe(0);
  });
});

test('a work tree in which nothing can be remembered is built all the same', async () => {
  const work = join(yard.work, 'unwritable');
  await writeFiles(work, {
    '.switchyard': 'where our directory would be',
    'switchyard.yaml': 'version: 1\nsteps:\n  a: { run: cat f, inputs: [f], timeout: 1m }\n',
    f: 'x',
  });
  expect(await runSwitchyard(['run', ...yard.at], { cwd: work })).toMatchObject({ code: 0, stderr: '' });
});

describe('a label that nobody has', () => {
  test('the command says which agent comes nearest and what that lacks, and so does explain', async () => {
    await writeFiles(yard.work, {
      'switchyard.yaml': `version: 1\nsteps:\n  a: { run: x, labels: 'class=edge, name=two, gpu=h100', timeout: 1m, cache: false }\n`,
    });
    await using waiting = startSwitchyard(['run', ...yard.at], { cwd: yard.work });
    const nearest = 'nearest is two, which lacks gpu=h100, but there is no label gpu';
    await until('the command says so', () => waiting.stdout().includes(nearest));
    const { stdout } = await runSwitchyard(['explain', 'latest', 'a', ...yard.at], { cwd: yard.work });
    expect(stdout).toMatch(
      /Nearest agents\n {2}two: lacks gpu=h100, but there is no label gpu\n {2}one: lacks name=two, but name is one; gpu=h100/,
    );
    waiting.kill('SIGINT');
    expect((await waiting.ended).code).toBe(130);
  });
});

describe('bytes that are not what they should be', () => {
  test('an input tree whose names lead out is the fault of the step, and nothing is written outside', async () => {
    const { dataAddress, instanceName } = await yard.server.server(never);
    await using data = openDataPlane({
      link: { address: dataAddress, token: undefined },
      instanceName,
      env: { log: silentLogger, clock: systemClock },
    });
    const file = Buffer.from('evil');
    await data.store.put(digestOf(file), file, never);
    for (const name of ['../escaped', '..', 'a/../../escaped', '/tmp/escaped']) {
      const root = Buffer.from(
        encodeDirectory({ files: [{ name: 'placeholder', digest: digestOf(file), executable: false }], directories: [], symlinks: [] }),
      );
      const evil = withName(root, 'placeholder', name);
      await data.store.put(digestOf(evil), evil, never);
      const { id } = await yard.server.submit(
        { idempotencyKey: name, name: 'evil', steps: [{ name: 'a', command: ['true'], inputRoot: digestToProto(digestOf(evil)) }] },
        never,
      );
      const { steps } = await endOf(yard.server, id);
      expect(steps[0], name).toMatchObject({ verdict: 'failed', message: expect.stringContaining(name) });
    }
    expect(readdirSync(yard.dir).toSorted()).toEqual(['coordinator', 'one', 'two', 'work']);
  });

  test('a blob that was damaged on disk is never served: its step fails for the cache, and the next run sends it again', async () => {
    const steps = `  a: { run: cat precious, inputs: [precious], cache: false, labels: name=one, timeout: 1m, retry: { cache-error: 1 } }\n`;
    const first = await runBuild(steps, { precious: 'the right bytes\n' });
    expect(first.build.verdict).toBe('succeeded');
    damage(join(yard.dir, 'coordinator', 'blobs'), Buffer.from('the right bytes\n'));
    // The other agent has not got it yet.
    const elsewhere = steps.replace('name=one', 'name=two');
    const second = await runBuild(elsewhere);
    expect(second.build.verdict).toBe('failed');
    expect(second.steps[0]).toMatchObject({
      verdict: 'errored',
      failureClass: 'cache-error',
      message: expect.stringContaining('precious'),
    });
    const third = await runBuild(elsewhere);
    expect(third.build.verdict).toBe('succeeded');
    expect((await readLog(yard.server, third.build.id, 'a')).toString()).toBe('the right bytes\n');
  });

  test('outputs that lead out of the tree or are no files fail their steps, each named with the reason', async () => {
    const { steps } = await runBuild(`  link: { run: 'ln -s /etc/passwd o', outputs: [o], timeout: 1m }
  deep: { run: 'mkdir o; ln -s ../../etc o/x', outputs: [o], timeout: 1m }
  pipe: { run: 'mkfifo o', outputs: [o], timeout: 1m }
`);
    expect(Object.fromEntries(steps.map(({ name, message }) => [name, message]))).toEqual({
      link: expect.stringContaining('Output "o": it is a link to "/etc/passwd", which is out of the tree'),
      deep: expect.stringContaining('Output "o": "o/x" is a link to "../../etc", which is out of the tree'),
      pipe: expect.stringContaining('Output "o": it is a socket, a pipe or a device'),
    });
  });
});

describe('logs', () => {
  test('of a gigabyte are cut with a mark; the step succeeds, and nobody holds them in memory', async () => {
    const { build, steps } = await runBuild(
      `  flood: { run: 'head -c 1073741824 /dev/zero; echo made > made', outputs: [made], cache: false, timeout: 5m, labels: name=one }\n`,
    );
    expect(build.verdict).toBe('succeeded');
    expect(steps[0]?.result).toMatchObject({ log: { truncated: true }, outputs: [{ path: 'made' }] });
    const log = await readLog(yard.server, build.id, 'flood');
    expect(log.byteLength).toBe(16 * MIB);
    expect(log.subarray(-100).toString('latin1')).toMatch(
      /\0\n\[switchyard: the log is longer than what is kept; the rest was dropped\]\n$/,
    );
    const [data] = descendantsOf(yard.coordinator.pid);
    const processes = { coordinator: yard.coordinator.pid, agent: yard.agent('one').pid, data: data?.pid ?? 0 };
    for (const [name, pid] of Object.entries(processes)) expect(peakMemoryOf(pid), name).toBeLessThan(512 * MIB);
  });

  test('of arbitrary bytes, with invalid UTF-8 among them, come back as they were', async () => {
    const octal = Array.from({ length: 256 }, (_, byte) => `\\${byte.toString(8).padStart(3, '0')}`).join('');
    const { build } = await runBuild(
      `  bytes: { run: "printf '${octal.replaceAll('\\', '\\\\')}\\\\355\\\\240\\\\200'", cache: false, timeout: 1m }\n`,
    );
    const bytes = Buffer.from([...Array.from({ length: 256 }, (_, byte) => byte), 0xed, 0xa0, 0x80]);
    expect(await readLog(yard.server, build.id, 'bytes')).toEqual(bytes);
    const { stdout } = await runSwitchyard(['logs', 'latest', '-o', 'json', ...yard.at], { cwd: yard.work });
    const printed = stdout
      .trimEnd()
      .split('\n')
      .map((line) => Buffer.from(JSON.parse(line).data, 'base64'));
    expect(Buffer.concat(printed)).toEqual(bytes);
  });
});

describe('a wall clock that jumps', () => {
  test('a day forward and two days back ends no lease, no step and no build', async () => {
    await using dir = await tempDir();
    const offset = join(dir.path, 'offset');
    const preload = join(dir.path, 'clock.mjs');
    writeFileSync(preload, movableClock(offset));
    await using other = await startRealYard({
      agents: ['one'],
      agentArgs: ['--sandbox', 'process'],
      env: { NODE_OPTIONS: `--import ${pathToFileURL(preload).href}` },
    });
    const jump = (ms: number) => {
      writeFileSync(offset, String(ms));
      const children = descendantsOf(other.coordinator.pid).filter(({ commandLine }) => commandLine.includes('cache/main'));
      for (const pid of [other.coordinator.pid, other.agent('one').pid, ...children.map((child) => child.pid)])
        process.kill(pid, 'SIGUSR2');
    };
    const gate = join(dir.path, 'gate');
    const text = (name: string, script: string) =>
      writeFiles(join(other.work, name), {
        'switchyard.yaml': `version: 1\ntimeout: 1h\nsteps:\n  a: { run: '${script}', cache: false, timeout: 30m, queueTimeout: 10m }\n`,
      });
    await text('long', `echo begun; while [ ! -e "${gate}" ]; do sleep 0.05; done; echo done`);
    await text('short', 'echo short');
    await using long = startSwitchyard(['run', '-o', 'json', ...other.at], { cwd: join(other.work, 'long') });
    const build = await submittedBy(long);
    await logReaches(other.server, build, 'a', 6);
    for (const ms of [86_400_000, -86_400_000]) {
      jump(ms);
      const { now, took } = await shortBuild(other);
      // The process believes the clock, as its log shows; what it tells of builds does not.
      expect(Math.abs(newestLogTime(other.coordinator.stderr()) - systemClock.now() - ms)).toBeLessThan(3_600_000);
      expect(Math.abs(now - systemClock.now())).toBeLessThan(3_600_000);
      expect(took).toBeGreaterThanOrEqual(0);
      expect(took).toBeLessThan(3_600_000);
    }
    writeFileSync(gate, '');
    expect((await long.ended).code).toBe(0);
    expect((await stepOf(other.server, build, 'a')).attempts).toHaveLength(1);
    expect((await readLog(other.server, build, 'a')).toString()).toBe('begun\ndone\n');
  });

  /** Runs a whole build under the clock as it is now set. */
  async function shortBuild(other: RealYard) {
    expect((await runSwitchyard(['run', ...other.at], { cwd: join(other.work, 'short') })).code).toBe(0);
    const { nowMs } = await other.server.server(never);
    const [newest] = await other.server.list({ labels: {}, phase: 'ended', verdict: undefined, limit: 1 }, never);
    return { now: nowMs ?? 0, took: (newest?.endedAtMs ?? 0) - (newest?.acceptedAtMs ?? 0) };
  }
});

/** The time of the newest log line, in milliseconds since the epoch. */
function newestLogTime(stderr: string): number {
  const line: unknown = JSON.parse(stderr.trimEnd().split('\n').at(-1) ?? '');
  if (typeof line !== 'object' || line === null || !('time' in line)) throw new Error('A log line has a time');
  return typeof line.time === 'number' ? line.time : Date.parse(String(line.time));
}

/** A Directory message with another name in it, which our own encoder would refuse. */
function withName(message: Buffer, from: string, to: string): Buffer {
  const at = message.indexOf(from);
  // FileNode and its name are length-delimited, both lengths below 128: tag, length, tag, length, name.
  const grown = Buffer.concat([message.subarray(0, at), Buffer.from(to), message.subarray(at + from.length)]);
  const difference = to.length - from.length;
  grown.writeUInt8(grown.readUInt8(at - 1) + difference, at - 1);
  grown.writeUInt8(grown.readUInt8(at - 3) + difference, at - 3);
  return grown;
}

/** Turns one bit of every file below `dir` that holds exactly `bytes`, as a bad disk does. */
function damage(dir: string, bytes: Buffer): void {
  let damaged = 0;
  for (const name of readdirSync(dir, { recursive: true, encoding: 'utf8' })) {
    const file = join(dir, name);
    if (!statSync(file).isFile() || !readFileSync(file).equals(bytes)) continue;
    const wrong = Buffer.from(bytes);
    wrong.writeUInt8(wrong.readUInt8(3) ^ 1, 3);
    writeFileSync(file, wrong);
    damaged += 1;
  }
  expect(damaged).toBeGreaterThan(0);
}
