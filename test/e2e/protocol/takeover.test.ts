import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { until } from '../../fixtures/until.ts';
import { endOf, logReaches, readLog, sha256, submittedBy } from '../real-yard.ts';
import { startPair, type Pair } from './pair.ts';
import { tokensOf } from './stage.ts';

const NAMES = ['one', 'two'];

function linesOf(path: string): readonly string[] {
  return existsSync(path)
    ? readFileSync(path, 'utf8')
        .split('\n')
        .filter((line) => line !== '')
    : [];
}

function write(pair: Pair, steps: Readonly<Record<string, unknown>>): void {
  writeFileSync(join(pair.dir, 'work/switchyard.yaml'), JSON.stringify({ version: 1, name: 'takeover', steps }));
}

/** Says when it starts, waits at the gate, and makes an output that is uploaded afterwards. */
function atGate(pair: Pair, index: number, sideEffects: boolean) {
  const [gate, journal] = [join(pair.dir, 'gate'), join(pair.dir, 'steps')];
  const wait = `while [ ! -e ${gate} ]; do sleep 0.2; done`;
  const run = `echo "start ${index}" >>${journal}; echo half; ${wait}; head -c 300000 /dev/urandom >out; echo "end ${index}" >>${journal}; echo whole`;
  return { run, cache: false, timeout: '5m', sideEffects, outputs: ['out'] };
}

describe('the kill of the coordinator that leads', { timeout: 240_000 }, () => {
  test('under 50 running steps: all finish at the other one, none runs twice, and its callers go on with it', async () => {
    await using pair = await startPair();
    for (const name of NAMES) pair.agent(name, 25);
    write(pair, Object.fromEntries(Array.from({ length: 50 }, (_, index) => [`s${index}`, atGate(pair, index, index % 2 === 1)])));
    const leader = await pair.leader();
    const other = 1 - leader;
    // One follows at the one that dies, one at both; each has what it needs to go on elsewhere.
    const run = pair.command(['run', '-o', 'json'], `${pair.addresses[leader]},${pair.addresses[other]}`);
    const build = await submittedBy(run);
    const watching = pair.command(['watch', build]);
    const logs = pair.command(['logs', '-f', build, 's7']);
    await until('all run', () => linesOf(join(pair.dir, 'steps')).length === 50);
    await logReaches(pair.server, build, 's7', 5);
    await pair.kill(leader);
    appendFileSync(join(pair.dir, 'gate'), '');
    for (const command of [run, watching, logs]) expect((await command.ended).code, command.stderr()).toBe(0);
    expect(logs.stdout()).toBe('half\nwhole\n');
    for (const command of [watching, logs]) expect(command.stderr().split('going on with').length).toBeLessThanOrEqual(2);
    const { steps } = await endOf(pair.server, build);
    expect(steps.map((step) => [step.attempts.length, step.verdict])).toEqual(Array.from(steps, () => [1, 'succeeded']));
    expect(linesOf(join(pair.dir, 'steps')).filter((line) => line.startsWith('start'))).toHaveLength(50);
    const journals = NAMES.map((name) => pair.journal(name));
    const tokens = steps.flatMap((step) => step.attempts.map(({ token }) => token)).toSorted();
    expect(journals.flatMap((journal) => tokensOf(journal, 'started')).toSorted()).toEqual(tokens);
    for (const step of steps.slice(0, 5)) {
      const log = await readLog(pair.server, build, step.name);
      expect(`${sha256(log)}-${log.byteLength}`).toBe(step.result?.log?.digest);
    }
    // Both agents are with the survivor now.
    for (const journal of journals)
      expect(journal.findLast((line) => line.event === 'registered')).toMatchObject({ coordinator: pair.addresses[other] });
  });

  test('while steps end: what was uploaded and reported to the dead one is taken by the other', async () => {
    await using pair = await startPair();
    pair.agent('one', 8);
    write(pair, Object.fromEntries(Array.from({ length: 8 }, (_, index) => [`s${index}`, atGate(pair, index, false)])));
    const run = pair.command(['run', '-o', 'json']);
    const build = await submittedBy(run);
    await until('all run', () => linesOf(join(pair.dir, 'steps')).length === 8);
    const leader = await pair.leader();
    appendFileSync(join(pair.dir, 'gate'), '');
    await until('some have ended', () => linesOf(join(pair.dir, 'steps')).some((line) => line.startsWith('end')));
    await pair.kill(leader);
    expect((await run.ended).code, run.stderr()).toBe(0);
    const { steps } = await endOf(pair.server, build);
    expect(steps.map((step) => [step.attempts.length, step.verdict])).toEqual(Array.from(steps, () => [1, 'succeeded']));
  });
});

test('an agent that knows the follower only is sent to the leader, and finds the next one by itself', async () => {
  await using pair = await startPair();
  const leader = await pair.leader();
  const follower = pair.addresses[1 - leader] ?? '';
  const agent = pair.agent('one', 2, follower);
  await agent.ready();
  const last = () => pair.journal('one').findLast((line) => line.event === 'registered');
  expect(last()).toMatchObject({ coordinator: pair.addresses[leader] });
  expect(agent.stderr()).toContain('agent-redirected');
  await pair.kill(leader);
  await until('it is with the other one', () => last()?.coordinator === follower);
});

test('the one that leads steps down on SIGTERM: its agents and callers are with the other one at once', async () => {
  await using pair = await startPair();
  pair.agent('one', 2);
  write(pair, { a: atGate(pair, 0, true) });
  const run = pair.command(['run']);
  await until('it runs', () => linesOf(join(pair.dir, 'steps')).length === 1);
  const leader = await pair.leader();
  pair.coordinators[leader]?.kill('SIGTERM');
  expect((await pair.coordinators[leader]?.ended)?.code).toBe(0);
  appendFileSync(join(pair.dir, 'gate'), '');
  expect((await run.ended).code, run.stderr()).toBe(0);
  expect(tokensOf(pair.journal('one'), 'started')).toHaveLength(1);
});
