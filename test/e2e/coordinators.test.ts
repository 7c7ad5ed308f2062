import { appendFileSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { isFault } from '../../base/fault.ts';
import { freePorts } from '../fixtures/ports.ts';
import { startSwitchyard } from '../fixtures/run-process.ts';
import { PATIENCE_MS, until } from '../fixtures/until.ts';
import { endOf, readLog, sha256, snapshotOf, submittedBy, writeFiles } from './real-yard.ts';
import { startRedisYard, type RedisYard } from './redis-yard.ts';

/** Lines that steps of a yard have appended to a file. */
function linesOf(path: string): readonly string[] {
  return existsSync(path) ? readFileSync(path, 'utf8').split('\n').slice(0, -1) : [];
}

/** Steps that say that they have begun, wait for the gate, and say so at their end; each line is one run of one of them. */
function gated(count: number, gate: string, journal: string): string {
  const steps = Array.from({ length: count }, (_, index) => {
    const wait = `while [ ! -e '${gate}' ]; do sleep 0.7; done`;
    const run = `echo s${index} >> '${journal}.begun'; echo log of s${index}; ${wait}; echo s${index} >> '${journal}.ended'; echo end of it`;
    return `  s${index}: { run: "${run}", cache: false, sideEffects: false }\n`;
  });
  return `version: 1\ndefaults: { timeout: 5m }\nsteps:\n${steps.join('')}`;
}

async function run(yard: RedisYard, name: string, pipeline: string) {
  await writeFiles(yard.work, { [`${name}.yaml`]: pipeline });
  const command = startSwitchyard(['run', '-o', 'json', '-f', `${name}.yaml`, ...yard.at], { cwd: yard.work });
  return { command, build: await submittedBy(command) };
}

/** A build of one step runs to its end, which needs somebody to lead and dispatch. */
async function dispatches(yard: RedisYard, name: string): Promise<void> {
  const { command } = await run(yard, name, `version: 1\nsteps:\n  quick: { run: 'echo quick', cache: false, timeout: 5m }\n`);
  await using _command = command;
  expect((await command.ended).code).toBe(0);
}

/** Every event of a build, from whichever coordinator answers; what a watcher with a cursor sees. */
async function watchAll(yard: RedisYard, build: string): Promise<readonly number[]> {
  const seqs: number[] = [];
  let cursor = '';
  for (;;) {
    try {
      for await (const event of yard.server.watch(build, cursor, new AbortController().signal)) {
        cursor = event.cursor;
        if (event.kind !== 'nothing') seqs.push(Number(cursor.split(':')[1]));
        if (event.kind === 'build-ended') return seqs;
      }
    } catch (error) {
      if (!isFault(error) || error.code === 'CURSOR_EXPIRED') throw error;
    }
    await pause(50);
  }
}

const sorted = (values: readonly string[]) => values.toSorted((left, right) => (left < right ? -1 : 1));
const names = (count: number) => sorted(Array.from({ length: count }, (_, index) => `s${index}`));

describe('coordinators on one Redis', { timeout: 240_000 }, () => {
  test('kill -9 of the leader with 100 running steps, its own directory lost: dispatch goes on, nothing runs twice or is lost', async () => {
    await using yard = await startRedisYard({ coordinators: 2, agents: { one: 60, two: 60 } });
    const [gate, journal] = [join(yard.dir, 'gate'), join(yard.dir, 'journal')];
    const { command, build } = await run(yard, 'hundred', gated(100, gate, journal));
    await using _command = command;
    await until('100 steps run', () => linesOf(`${journal}.begun`).length === 100, 2 * PATIENCE_MS);
    const leader = await yard.leader();
    await leader.end('SIGKILL');
    await dispatches(yard, 'after');
    expect((await yard.leader()).address).not.toBe(leader.address);
    await leader.start({ bare: true });
    writeFileSync(gate, '');
    expect((await command.ended).code).toBe(0);
    expect(sorted(linesOf(`${journal}.begun`))).toEqual(names(100));
    expect(sorted(linesOf(`${journal}.ended`))).toEqual(names(100));
    const { steps } = await snapshotOf(yard.server, build);
    expect(steps.map((step) => [step.attempts.length, step.verdict])).toEqual(steps.map(() => [1, 'succeeded']));
    for (const step of steps.slice(0, 10)) {
      const log = await readLog(yard.server, build, step.name);
      expect(log.toString()).toBe(`log of ${step.name}\nend of it\n`);
      expect(`${sha256(log)}-${log.byteLength}`).toBe(step.result?.log?.digest);
    }
  });

  test('a restart of all coordinators in turn, under load: builds succeed, no attempt is repeated, watchers see every event once', async () => {
    await using yard = await startRedisYard({ coordinators: 3, agents: { one: 4, two: 4 } });
    const stop = new AbortController();
    const done: { readonly build: string; readonly code: number | null; readonly seqs: Promise<readonly number[]> }[] = [];
    const load = async (worker: string): Promise<void> => {
      for (let round = 0; !stop.signal.aborted; round += 1) {
        const steps = ['a', 'b', 'c'].map((name) => `  ${name}: { run: 'sleep 0.5; echo ${name}', cache: false }\n`).join('');
        const last = `  d: { run: 'echo d', needs: [a, b, c], cache: false }\n`;
        const pipeline = `version: 1\ndefaults: { timeout: 5m }\nsteps:\n${steps}${last}`;
        const { command, build } = await run(yard, `${worker}-${round}`, pipeline);
        const seqs = watchAll(yard, build);
        await using _command = command;
        done.push({ build, code: (await command.ended).code, seqs });
      }
    };
    const running = Promise.all(['x', 'y'].map(load));
    let broken: unknown;
    running.catch((error: unknown) => (broken = error));
    const ended = (count: number) => until(`${count} builds have ended`, () => broken !== undefined || done.length >= count);
    await ended(1);
    for (const member of yard.members) {
      const before = done.length;
      await member.end('SIGTERM');
      expect((await member.process.ended).code).toBe(0);
      await ended(before + 2);
      await member.start();
      await yard.leader();
    }
    stop.abort();
    await running;
    for (const { build, code, seqs } of done) {
      expect(code).toBe(0);
      const seen = await seqs;
      expect(seen).toEqual(seen.map((_, index) => index + 1));
      const { steps } = await endOf(yard.server, build);
      expect(steps.map((step) => [step.attempts.length, step.verdict])).toEqual(steps.map(() => [1, 'succeeded']));
    }
  });

  test('a leader that sleeps through its term changes nothing when it wakes: its steps end once, under the new leader', async () => {
    await using yard = await startRedisYard({ coordinators: 2, agents: { one: 6 } });
    const [gate, journal] = [join(yard.dir, 'gate'), join(yard.dir, 'journal')];
    const { command, build } = await run(yard, 'five', gated(5, gate, journal));
    await using _command = command;
    await until('its steps run', () => linesOf(`${journal}.begun`).length === 5);
    const sleeper = await yard.leader();
    sleeper.process.kill('SIGSTOP');
    const [other] = yard.members.filter((member) => member !== sleeper);
    await until('the other one leads', async () => (await other?.ask())?.coordinatorRole === 'COORDINATOR_ROLE_LEADING');
    await dispatches(yard, 'meanwhile');
    sleeper.process.kill('SIGCONT');
    await until('it follows', async () => (await sleeper.ask()).leaderAddress === other?.address);
    expect(sleeper.process.stderr()).toContain('"lead-over"');
    appendFileSync(gate, '');
    expect((await command.ended).code).toBe(0);
    const { steps } = await snapshotOf(yard.server, build);
    expect(steps.map((step) => [step.attempts.length, step.verdict])).toEqual(steps.map(() => [1, 'succeeded']));
    expect(sorted(linesOf(`${journal}.ended`))).toEqual(names(5));
    // Both show the same, to the last event.
    const shown = await Promise.all(yard.members.map((member) => member.ask()));
    expect(new Set(shown.map((answer) => answer.leaderAddress)).size).toBe(1);
  });

  test('probes tell who is ready and why not; a process that hangs fails them', async () => {
    await using yard = await startRedisYard({ coordinators: 2, agents: {} });
    const leader = await yard.leader();
    const [follower] = yard.members.filter((member) => member !== leader);
    if (follower === undefined) throw new Error('There are two');
    const probe = async (path: string, withinMs = 2_000) => {
      const answer = await fetch(`${follower.probes}${path}`, { signal: AbortSignal.timeout(withinMs) });
      const body: unknown = await answer.json();
      return { status: answer.status, text: JSON.stringify(body) };
    };
    const ready = await until('it is ready', async () => {
      const answer = await probe('/readyz');
      return answer.status === 200 && answer;
    });
    expect(ready.text).toContain(`the coordinator at ${leader.address} leads`);
    expect((await probe('/livez')).status).toBe(200);
    yard.redis.freeze();
    const away = await until('it misses Redis', async () => {
      const answer = await probe('/readyz');
      return answer.status === 503 && answer;
    });
    expect(away.text).toMatch(/"name":"ledger","ok":false,"reason":"answered \d+ ms ago/);
    expect((await probe('/livez')).status).toBe(200);
    yard.redis.thaw();
    await until('it is ready again', async () => (await probe('/readyz')).status === 200);
    follower.process.kill('SIGSTOP');
    await expect(probe('/livez', 500)).rejects.toThrow();
    follower.process.kill('SIGCONT');
    await until('it lives', async () => (await probe('/livez')).status === 200);
  });

  test('a coordinator with blobs of its own, or with the state directory of another, does not start and says what to do', async () => {
    await using yard = await startRedisYard({ coordinators: 1, agents: {} });
    const foreign = join(yard.dir, 'foreign');
    await using other = startSwitchyard(yard.argsOf('other', await freePorts(3), foreign), { cwd: yard.dir });
    expect((await other.ended).code).toBe(2);
    expect(other.stderr()).toContain(`--blobs-dir ${foreign} is not the directory that the other coordinators on this ledger share`);
    const id = readFileSync(join(yard.dir, 'blobs', 'store-id'), 'utf8').trim();
    expect(other.stderr()).toContain(`write ${id} into ${join(foreign, 'store-id')}`);
    await using twin = startSwitchyard(yard.argsOf('coordinator-1', await freePorts(3)), { cwd: yard.dir });
    expect((await twin.ended).code).toBe(2);
    expect(twin.stderr()).toContain('is in use by another coordinator');
    expect(readdirSync(join(yard.dir, 'blobs'))).toContain('agent-token');
    await yard.leader();
  });
});
