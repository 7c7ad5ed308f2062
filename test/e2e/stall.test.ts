import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { runSwitchyard, startSwitchyard } from '../fixtures/run-process.ts';
import { until } from '../fixtures/until.ts';
import { logReaches, readLog, startRealYard, stepOf, submittedBy, writeFiles } from './real-yard.ts';

test('what an agent does that slept through its lease is accepted by nobody, and it works again', async () => {
  await using yard = await startRealYard({
    agents: ['one', 'two'],
    coordinatorArgs: ['--lease-ttl', '10s', '--heartbeat', '2s'],
    agentArgs: ['--sandbox', 'process'],
  });
  const gate = join(yard.dir, 'gate');
  // Each attempt prints other bytes, and makes another output.
  const run = `head -c 4096 /dev/urandom | tee out; while [ ! -e "${gate}" ]; do sleep 0.05; done; cat out`;
  await writeFiles(yard.work, {
    'switchyard.yaml': `version: 1\nsteps:\n  a: { run: '${run}', outputs: [out], cache: false, sideEffects: false, timeout: 5m }\n`,
    'one.yaml': `version: 1\nsteps:\n  a: { run: echo awake, cache: false, labels: name=one, timeout: 5m }\n`,
    'two.yaml': `version: 1\nsteps:\n  a: { run: echo awake, cache: false, labels: name=two, timeout: 5m }\n`,
  });
  await using command = startSwitchyard(['run', '-o', 'json', ...yard.at], { cwd: yard.work });
  const build = await submittedBy(command);
  await logReaches(yard.server, build, 'a', 4096);
  const first = (await stepOf(yard.server, build, 'a')).attempts[0]?.agent ?? '';
  const sleeper = yard.agent(first);
  sleeper.kill('SIGSTOP');
  const lost = await readLog(yard.server, build, 'a', (bytes) => bytes >= 4096);
  await until('another agent runs it', async () => (await stepOf(yard.server, build, 'a')).attempts[1]?.agent);
  // Both attempts go on now: the command of the first one runs, though its agent does not.
  writeFileSync(gate, '');
  expect((await command.ended).code).toBe(0);
  const accepted = await stepOf(yard.server, build, 'a');
  const log = await readLog(yard.server, build, 'a');
  expect(accepted.attempts).toMatchObject([
    { number: 1, agent: first, endedWhy: expect.stringContaining('was not heard of') },
    { number: 2 },
  ]);
  expect(accepted.result?.agent).not.toBe(first);
  expect(log.byteLength).toBe(8192);
  expect(log.subarray(0, 4096).equals(lost)).toBe(false);

  sleeper.kill('SIGCONT');
  const token = accepted.attempts[0]?.token ?? '';
  const ofStale = (line: string) => line.includes('"attempt-finished"') && line.includes(JSON.stringify(token));
  await until('the sleeper has ended its attempt', () => sleeper.stderr().split('\n').some(ofStale));
  expect((await runSwitchyard(['run', '-f', `${first}.yaml`, ...yard.at], { cwd: yard.work })).code).toBe(0);
  expect(await stepOf(yard.server, build, 'a')).toEqual(accepted);
  expect((await readLog(yard.server, build, 'a')).equals(log)).toBe(true);
});
