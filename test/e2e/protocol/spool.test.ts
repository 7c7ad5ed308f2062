import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { systemClock } from '../../../base/clock.ts';
import { silentLogger } from '../../../base/log.ts';
import { startNode } from '../../fixtures/run-process.ts';
import { scriptedCoordinator } from '../../fixtures/scripted-coordinator.ts';
import { tempDir } from '../../fixtures/temp-dir.ts';
import { until } from '../../fixtures/until.ts';
import { endOf } from '../real-yard.ts';
import { startStage, tokensOf } from './stage.ts';

test('an agent that is killed with a result in its spool brings it when it is back: it counts once, and nothing runs again', async () => {
  await using stage = await startStage();
  const first = stage.agent('one');
  await first.ready();
  const starts = stage.path('starts');
  const run = `echo start >>${starts}; while [ ! -e ${stage.path('gate')} ]; do sleep 0.1; done; echo done`;
  const submitted = await stage.submit({ a: { run, sideEffects: true } });
  await until('it runs', () => stage.lines('starts').length === 1);
  // The coordinator stands still, so that data plane and streams are there and nothing is answered.
  stage.yard.coordinator.kill('SIGSTOP');
  stage.open('gate');
  await until('the result is in the spool', () => stage.journal('one').some(({ event }) => event === 'kept'));
  first.kill('SIGKILL');
  await first.ended;
  stage.agent('one');
  stage.yard.coordinator.kill('SIGCONT');
  expect((await submitted.run.ended).code).toBe(0);
  const { steps } = await endOf(stage.yard.server, submitted.build);
  expect(steps).toMatchObject([{ verdict: 'succeeded', attempts: [{ number: 1, agent: 'one' }] }]);
  expect(stage.lines('starts')).toEqual(['start']);
  await until('the agent has its answer', () => stage.journal('one').some(({ event }) => event === 'forgotten'));
  expect(tokensOf(stage.journal('one'), 'accepted')).toHaveLength(1);
  expect(stage.journal('one').filter((line) => line.event === 'answered' && line.verdict === 'fenced')).toEqual([]);
});

test('a spool of results that no message could hold is brought whole, each result once', async () => {
  await using dir = await tempDir();
  const spool = join(dir.path, 'spool');
  mkdirSync(spool);
  const path = 'p'.repeat(120);
  const outputs = Array.from({ length: 900 }, (_, index) => ({ kind: 'symlink', path: `${path}${index}`, target: path }));
  const usage = { cpuMs: 0, peakMemoryBytes: 0, bytesIn: 0, bytesOut: 0, prepareMs: 0, runMs: 0, uploadMs: 0 };
  const result = { exitCode: 0, outputs, usage, agent: 'edge-1', startedAt: 1, endedAt: 2 };
  const tokens = Array.from({ length: 120 }, (_, index) => `a${index}.1`);
  const lines = tokens.map((token) => JSON.stringify({ kind: 'result', token, report: { kind: 'succeeded', result } }));
  expect(lines.join('').length).toBeGreaterThan(24 * 1024 * 1024);
  writeFileSync(join(spool, 'journal.jsonl'), `${lines.join('\n')}\n`);
  await using coordinator = await scriptedCoordinator({ log: silentLogger, clock: systemClock });
  await using _agent = startNode(['agent/main.ts', '--coordinator', coordinator.address, '--work-dir', dir.path, '--id', 'edge-1']);
  const stream = await coordinator.stream(1);
  const held = stream.all('register')[0]?.held ?? [];
  expect(held.map(({ token }) => token)).toEqual(tokens);
  expect(held.some(({ finished }) => finished !== null)).toBe(true);
  expect(held.some(({ finished }) => finished === null)).toBe(true);
  await until('all are brought', () => new Set(stream.all('finished').map(({ token }) => token)).size === tokens.length);
  expect(stream.all('finished').every(({ report }) => report?.result?.outputs.length === outputs.length)).toBe(true);
});
