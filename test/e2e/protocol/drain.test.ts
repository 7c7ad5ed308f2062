import { expect, test } from 'vitest';
import { until } from '../../fixtures/until.ts';
import { endOf, stepOf } from '../real-yard.ts';
import { startStage, type Stage, type StepText } from './stage.ts';

const never = new AbortController().signal;

/** Runs until the gate is there, on whichever agent has room. */
function atGate(stage: Stage, gate = 'gate'): StepText {
  return { run: `echo start >>${stage.path('starts')}; while [ ! -e ${stage.path(gate)} ]; do sleep 0.1; done`, sideEffects: false };
}

const running = (stage: Stage, count: number) => until(`${count} run`, () => stage.lines('starts').length === count);

test('the first SIGTERM lets a step finish where it is, and new ones go elsewhere', async () => {
  await using stage = await startStage();
  const one = stage.agent('one');
  await one.ready();
  const first = await stage.submit({ a: atGate(stage) });
  await running(stage, 1);
  one.kill('SIGTERM');
  await until('it drains', async () => (await stage.yard.server.agents(never)).agents[0]?.draining === true);
  await stage.agent('two').ready();
  const second = await stage.submit({ b: { run: 'true', sideEffects: false } });
  expect((await second.run.ended).code).toBe(0);
  expect((await stepOf(stage.yard.server, second.build, 'b')).attempts).toMatchObject([{ agent: 'two' }]);
  stage.open('gate');
  expect(await one.ended).toEqual({ code: 0, signal: null });
  expect((await first.run.ended).code).toBe(0);
  expect((await endOf(stage.yard.server, first.build)).steps).toMatchObject([{ verdict: 'succeeded', attempts: [{ agent: 'one' }] }]);
});

test.for([
  ['a second signal', [] as readonly string[], true],
  ['the deadline of a drain, as after the notice of a host that goes away', ['--drain-timeout', '500ms'], false],
] as const)('%s stops the step, which runs elsewhere free of charge', async ([, args, again]) => {
  await using stage = await startStage();
  const one = stage.agent('one', { args });
  await one.ready();
  // No class of failure may be tried again: what is free of charge needs no right to it.
  const none = { 'agent-lost': 0, 'sandbox-error': 0, 'cache-error': 0 };
  const { run, build } = await stage.submit({ a: { ...atGate(stage), retry: none } });
  await running(stage, 1);
  await stage.agent('two').ready();
  one.kill('SIGTERM');
  if (again) {
    await until('it drains', async () => (await stage.yard.server.agents(never)).agents.some(({ draining }) => draining));
    one.kill('SIGTERM');
  }
  await running(stage, 2);
  stage.open('gate');
  expect((await run.ended).code).toBe(0);
  expect((await one.ended).code).toBe(0);
  const { steps } = await endOf(stage.yard.server, build);
  expect(steps).toMatchObject([{ verdict: 'succeeded', attempts: [{ agent: 'one' }, { agent: 'two' }] }]);
});

test('an agent that says goodbye gives its step back at once, long before the lease ends', async () => {
  await using stage = await startStage({ coordinatorArgs: ['--lease-ttl', '10m', '--heartbeat', '1m'] });
  const one = stage.agent('one');
  await one.ready();
  const { run, build } = await stage.submit({ a: atGate(stage) });
  await running(stage, 1);
  await stage.agent('two').ready();
  one.kill('SIGQUIT');
  await running(stage, 2);
  stage.open('gate');
  expect((await run.ended).code).toBe(0);
  expect((await endOf(stage.yard.server, build)).steps).toMatchObject([{ attempts: [{ agent: 'one' }, { agent: 'two' }] }]);
});
