import { codeOf } from '../../../base/thrown.ts';
import { expect, test } from 'vitest';
import type { JournalLine } from '../../fixtures/agent-journal.ts';
import { until } from '../../fixtures/until.ts';
import { descendantsOf } from '../processes.ts';
import { endOf, stepOf } from '../real-yard.ts';
import { startStage, tokensOf, type Stage, type StepText } from './stage.ts';

const TIMINGS = ['--lease-ttl', '10s', '--heartbeat', '2s'];

/** A step that changes the world at the gate, and says which agent it is on. */
function deploy(stage: Stage, more: Readonly<Record<string, unknown>> = {}): StepText {
  const journal = stage.path('world');
  const run = `me=$(pwd); echo "start $me" >>${journal}; while [ ! -e ${stage.path('gate')} ]; do sleep 0.1; done; echo "effect $me" >>${journal}`;
  return { run, sideEffects: true, ...more };
}

/** Sends a signal to the agent and to everything that it started, as when its host stands still. What has ended needs none. */
function toAll(pids: readonly number[], signal: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, signal);
    } catch (error) {
      if (codeOf(error) !== 'ESRCH') throw error;
    }
  }
}

test('a side-effecting step of an agent that stood still past its lease is not begun a second time', async () => {
  await using stage = await startStage({ coordinatorArgs: TIMINGS });
  const agents = ['one', 'two'].map((name) => stage.agent(name));
  for (const agent of agents) await agent.ready();
  const { run, build } = await stage.submit({ deploy: deploy(stage) });
  await until('it runs', () => stage.lines('world').length === 1);
  const name = (await stepOf(stage.yard.server, build, 'deploy')).attempts[0]?.agent ?? '';
  const sleeper = agents[name === 'one' ? 0 : 1];
  const pids = [sleeper?.pid ?? 0, ...descendantsOf(sleeper?.pid ?? 0).map(({ pid }) => pid)];
  toAll(pids, 'SIGSTOP');
  expect((await run.ended).code).toBe(1);
  toAll(pids, 'SIGCONT');
  await until('the sleeper has ended it', () => stage.journal(name).some(({ event }) => event === 'finished'));
  stage.open('gate');
  expect((await endOf(stage.yard.server, build)).steps).toMatchObject([
    { verdict: 'errored', failureClass: 'agent-lost', attempts: [{ number: 1 }] },
  ]);
  expect(stage.lines('world').map((line) => line.split(' ')[0])).toEqual(['start']);
});

test('one that may run again after the loss of its agent has its effect once: the first is killed before it goes on', async () => {
  await using stage = await startStage({ coordinatorArgs: TIMINGS });
  const agents = ['one', 'two'].map((name) => stage.agent(name));
  for (const agent of agents) await agent.ready();
  const { run, build } = await stage.submit({ deploy: deploy(stage, { retry: { 'agent-lost': 1, wait: '100ms' } }) });
  await until('it runs', () => stage.lines('world').length === 1);
  const name = (await stepOf(stage.yard.server, build, 'deploy')).attempts[0]?.agent ?? '';
  const sleeper = agents[name === 'one' ? 0 : 1];
  const pids = [sleeper?.pid ?? 0, ...descendantsOf(sleeper?.pid ?? 0).map(({ pid }) => pid)];
  toAll(pids, 'SIGSTOP');
  await until('the other agent runs it', () => stage.lines('world').length === 2);
  toAll(pids, 'SIGCONT');
  await until('the sleeper has ended it', () => stage.journal(name).some(({ event }) => event === 'finished'));
  stage.open('gate');
  expect((await run.ended).code).toBe(0);
  const { steps } = await endOf(stage.yard.server, build);
  expect(steps).toMatchObject([{ verdict: 'succeeded', attempts: [{ agent: name }, { number: 2 }] }]);
  expect(steps[0]?.result?.agent).not.toBe(name);
  const world = stage.lines('world').map((line) => line.split(' '));
  expect(world.map(([word]) => word)).toEqual(['start', 'start', 'effect']);
  expect(world[2]?.[1]).toBe(world[1]?.[1]);
  // Nothing that the sleeper said afterwards was taken.
  expect(stage.journal(name).filter((line) => line.event === 'answered' && line.verdict !== 'fenced')).toEqual([]);
});

test('an agent that cannot renew ends its side-effecting step before the lease does, and keeps its pure one', async () => {
  // A coordinator that comes back takes a lease for lost one lease time after its end: time enough for a busy host to start it.
  await using stage = await startStage({ coordinatorArgs: ['--lease-ttl', '15s', '--heartbeat', '3s'] });
  const agent = stage.agent('one');
  await agent.ready();
  const pure = { run: `while [ ! -e ${stage.path('gate')} ]; do sleep 0.1; done; echo done`, sideEffects: false };
  const { run, build } = await stage.submit({ deploy: deploy(stage, { critical: false }), pure });
  const noted = (event: JournalLine['event']) => tokensOf(stage.journal('one'), event);
  await until('both run', () => noted('started').length === 2);
  await stage.yard.killCoordinator(async () => {
    await until('the agent has ended one', () => noted('finished').length === 1);
    stage.open('gate');
    await until('the other one ends by itself', () => noted('exited').length === 2);
    expect(noted('stopped')).toEqual(noted('finished'));
  });
  await run.ended;
  const { steps } = await endOf(stage.yard.server, build);
  expect(Object.fromEntries(steps.map((step) => [step.name, step.verdict]))).toEqual({ deploy: 'errored', pure: 'succeeded' });
  expect(steps.flatMap(({ name, attempts }) => attempts.slice(1).map(() => [name, attempts]))).toEqual([]);
  expect(stage.lines('world')).toHaveLength(1);
});
