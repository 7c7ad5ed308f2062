import { expect, test } from 'vitest';
import { startRelay } from '../../fixtures/relay.ts';
import { until } from '../../fixtures/until.ts';
import { endOf, readLog, sha256 } from '../real-yard.ts';
import { startStage, type StepText } from './stage.ts';

const TIMINGS = ['--lease-ttl', '30s', '--heartbeat', '500ms'];
/** So often the relay resets every connection. */
const CUT_EVERY_MS = 2_000;
const CUTS = 4;
const ONCE = { verdict: 'succeeded', attempts: [{ number: 1 }] };

/** Each step writes 40 pieces of a kilobyte, spread over some seconds, and goes on until the gate is there. */
function thirty(gate: string): Readonly<Record<string, StepText>> {
  const piece = `printf "%04d" $i; head -c 1020 /dev/zero | tr '\\000' x; sleep 0.2; i=$((i+1))`;
  const run = `i=0; while [ $i -lt 40 ]; do ${piece}; done; while [ ! -e ${gate} ]; do sleep 0.2; done; echo end`;
  return Object.fromEntries(Array.from({ length: 30 }, (_, index) => [`s${index}`, { run, sideEffects: index % 3 === 0 }]));
}

function atGate(gate: string): StepText {
  return { run: `while [ ! -e ${gate} ]; do sleep 0.1; done; echo end`, sideEffects: true };
}

test('a relay that cuts every connection every two seconds costs no step and no byte of a log', async () => {
  await using stage = await startStage({ coordinatorArgs: TIMINGS });
  await using relay = await startRelay(stage.yard.address);
  const agent = stage.agent('one', { coordinator: relay.address, slots: 30 });
  await agent.ready();
  const { run, build } = await stage.submit(thirty(stage.path('gate')));
  await until('all run', () => stage.journal('one').filter(({ event }) => event === 'started').length === 30);
  const taken = relay.taken;
  const cutting = setInterval(() => relay.drop(), CUT_EVERY_MS);
  try {
    await until('it was cut often enough', () => relay.taken >= taken + CUTS);
    stage.open('gate');
    expect((await run.ended).code).toBe(0);
  } finally {
    clearInterval(cutting);
  }
  const { steps } = await endOf(stage.yard.server, build);
  expect(steps.map((step) => step.attempts.length)).toEqual(Array.from(steps, () => 1));
  for (const step of steps) {
    const log = await readLog(stage.yard.server, build, step.name);
    expect(`${sha256(log)}-${log.byteLength}`).toBe(step.result?.log?.digest);
    expect(log.byteLength).toBe(40 * 1024 + 4);
  }
});

test('a link that is open at one end only is left for a new one, and its steps go on', async () => {
  await using stage = await startStage({ coordinatorArgs: TIMINGS });
  await using relay = await startRelay(stage.yard.address);
  const agent = stage.agent('one', { coordinator: relay.address });
  const { run, build } = await stage.submit({ a: atGate(stage.path('gate')) });
  await until('it runs', () => stage.journal('one').some(({ event }) => event === 'started'));
  relay.halfOpen();
  const registered = () => stage.journal('one').filter(({ event }) => event === 'registered').length;
  await until('the agent has dialled again', () => registered() >= 2);
  expect(agent.stderr()).toContain('session-hung-up');
  stage.open('gate');
  expect((await run.ended).code).toBe(0);
  expect((await endOf(stage.yard.server, build)).steps).toMatchObject([ONCE]);
});

test('a link that goes silent for less than a lease costs nothing, whatever was on its way', async () => {
  await using stage = await startStage({ coordinatorArgs: TIMINGS });
  await using relay = await startRelay(stage.yard.address);
  stage.agent('one', { coordinator: relay.address });
  const { run, build } = await stage.submit({ a: atGate(stage.path('gate')) });
  await until('it runs', () => stage.journal('one').some(({ event }) => event === 'started'));
  relay.stall('up');
  stage.open('gate');
  await until('the result is in the spool', () => stage.journal('one').some(({ event }) => event === 'kept'));
  relay.heal();
  expect((await run.ended).code).toBe(0);
  expect((await endOf(stage.yard.server, build)).steps).toMatchObject([ONCE]);
});
