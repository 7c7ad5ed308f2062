import { expect, test } from 'vitest';
import { Stage, type StepSketch } from '../../test/scenarios/stage.ts';
import { OPEN_TOPOLOGY, type PoolLimits, type Topology } from '../../topology/model.ts';
import { slotsWithin } from './demand-limits.ts';

const GIB = 2 ** 30;
const SHAPE = {
  labels: { cluster: 'c', pool: 'p', zone: 'trusted', os: 'linux' },
  capacity: { cpuMillis: 8_000, memoryBytes: 16 * GIB, slots: 4, custom: {} },
  sandbox: [],
};

const limited = (limits: PoolLimits | undefined): Topology => ({
  ...OPEN_TOPOLOGY,
  clusters: [
    {
      name: 'c',
      zone: 'trusted',
      pools: [{ name: 'p', class: 'central', selector: '', sandbox: [], ...(limits === undefined ? {} : { limits }) }],
    },
  ],
});

/** A yard whose pool has these limits, with these steps queued. */
function yardWith(limits: PoolLimits | undefined, steps: readonly StepSketch[]): Stage {
  const stage = new Stage({ topology: limited(limits) });
  stage.submit('b', steps);
  stage.readyAll();
  return stage;
}

const many = (count: number, resources: StepSketch['resources'] = {}) =>
  Array.from({ length: count }, (_, index) => ({ name: `s${index}`, resources: { cpuMillis: 0, memoryBytes: 0, slots: 1, ...resources } }));
const agent = (stage: Stage, name: string) => stage.agent(name, { labels: SHAPE.labels, capacity: SHAPE.capacity, credits: 100 });
const demand = (stage: Stage) => stage.scheduler.demandOf(SHAPE);

test('a pool without limits is wanted for all that would fit', () => {
  expect(demand(yardWith(undefined, many(20)))).toMatchObject({ runnable: 20, running: 0, ahead: 0, spare: Infinity });
});

test('a pool whose limit counts steps is wanted for no more of them than that, whether it has agents or none', () => {
  const stage = yardWith({ steps: 6 }, many(20));
  expect(demand(stage)).toMatchObject({ runnable: 6, running: 0, spare: 0 });
  agent(stage, 'a1');
  stage.readyAll();
  for (const name of stage.offered(stage.last)) stage.accept(name);
  expect(demand(stage)).toMatchObject({ runnable: 2, running: 4, spare: 0 });
  agent(stage, 'a2');
  expect(demand(stage)).toMatchObject({ runnable: 0, running: 6, spare: 0 });
});

test('limits of processor and memory count what steps ask for', () => {
  expect(demand(yardWith({ cpuMillis: 3_000 }, many(20, { cpuMillis: 1_000 })))).toMatchObject({ runnable: 3, spare: Infinity });
  expect(demand(yardWith({ memoryBytes: 10 * GIB }, many(20, { memoryBytes: 2 * GIB })))).toMatchObject({ runnable: 5 });
  // One that asks for more than the pool may ever have is for others.
  expect(demand(yardWith({ cpuMillis: 500 }, many(1, { cpuMillis: 1_000 })))).toMatchObject({ runnable: 0 });
  // A step that asks for nothing of it is not bound by it; one that takes several slots counts so.
  expect(demand(yardWith({ cpuMillis: 1_000 }, many(20)))).toMatchObject({ runnable: 20 });
  expect(demand(yardWith({ steps: 2 }, many(20, { slots: 2 })))).toMatchObject({ runnable: 4 });
});

test('what comes next is wanted as far as the limit has room once what runs has ended', () => {
  const first = many(2);
  const later = Array.from({ length: 10 }, (_, index) => ({
    name: `later${index}`,
    needs: ['s0', 's1'],
    resources: { cpuMillis: 0, memoryBytes: 0, slots: 1 },
  }));
  const yard = (limits: PoolLimits | undefined) => {
    const stage = yardWith(limits, [...first, ...later]);
    agent(stage, 'a1');
    return stage;
  };
  expect(demand(yard(undefined))).toMatchObject({ runnable: 0, running: 2, ahead: 10 });
  expect(demand(yard({ steps: 6 }))).toMatchObject({ runnable: 0, running: 2, ahead: 4, spare: 4 });
  expect(demand(yard({ steps: 2 }))).toMatchObject({ runnable: 0, running: 2, ahead: 0, spare: 0 });
});

test('of steps of several sizes those count that take most slots of what a limit leaves', () => {
  const sized = (count: number, slots: number, cpuMillis: number) => ({
    count,
    slots,
    resources: { slots, cpuMillis, memoryBytes: 0, custom: {} },
  });
  const used = { steps: 1, cpuMillis: 1_000, memoryBytes: 0 };
  const steps = [sized(10, 1, 1_000), sized(10, 2, 4_000)];
  expect(slotsWithin(steps, { steps: 6 }, used)).toBe(10); // five of two slots
  expect(slotsWithin(steps, { cpuMillis: 5_000 }, used)).toBe(4); // four of one slot
  expect(slotsWithin(steps, { steps: 6, cpuMillis: 5_000 }, used)).toBe(4);
  expect(slotsWithin(steps, {}, used)).toBe(30);
  expect(slotsWithin(steps, { steps: 1 }, used)).toBe(0);
});
