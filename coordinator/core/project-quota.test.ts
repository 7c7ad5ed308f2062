import { describe, expect, test } from 'vitest';
import { present } from '../../base/assert.ts';
import { prngFrom } from '../../base/prng.ts';
import { actionOf, agentId, buildId, digestFor, Stage, stepId, stepOf, SUCCESS } from '../../test/scenarios/stage.ts';
import { OPEN_TOPOLOGY, type PoolLimits, type Topology } from '../../topology/model.ts';
import { readTopology } from '../../topology/file.ts';
import { submit } from './builds.ts';
import { dispatch } from './dispatch.ts';
import { finish } from './leases.ts';
import { DEFAULT_TIMINGS, LIMITS } from './limits.ts';
import { takeResolution } from './resolutions.ts';
import { register } from './sessions.ts';
import { settle } from './settle.ts';
import { Turn } from './turn.ts';
import { Yard } from './yard.ts';

const ROOM = { slots: 1, cpuMillis: 64_000, memoryBytes: 2 ** 40, custom: {} };
const BUILD = {
  name: 'a build',
  scope: 'main',
  zoneCeiling: 'production',
  submittedBy: 'someone',
  labels: {},
  weight: 1,
  timeoutMs: undefined,
  failFast: false,
} as const;

function withQuotas(quotas: Readonly<Record<string, PoolLimits>>): Topology {
  return {
    ...OPEN_TOPOLOGY,
    projects: Object.fromEntries(Object.entries(quotas).map(([name, quota]) => [name, { weight: 1, quota }])),
  };
}

function apply(stage: Stage, topology: Topology): void {
  const { scheduler } = stage;
  const base = scheduler.topologies().at(-1)?.digest ?? '';
  const text = JSON.stringify(topology);
  stage.apply({ kind: 'topology-applied', text, digest: digestFor(text), topology, base, by: 'ann', reason: 'test' });
  expect(stage.last.reply).toMatchObject({ kind: 'topology' });
}

function steps(count: number, more: object = {}): readonly { readonly name: string }[] {
  return Array.from({ length: count }, (_, index) => ({ name: `s${index}`, ...more }));
}

/** Steps that are on an agent, by the name of their build. */
function running(stage: Stage): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const { running: leases } of stage.scheduler.agents()) {
    for (const lease of leases) {
      const build = lease.replace(/^b-0*/, '').split('/')[0] ?? '';
      counts[build] = (counts[build] ?? 0) + 1;
    }
  }
  return counts;
}

function why(stage: Stage, step: string): string {
  return present(stage.scheduler.explain(stepId(step), stage.now), 'the step is known').summary;
}

test('a project at its quota waits, and steps of others of the same kind go past it', () => {
  const stage = new Stage({ topology: withQuotas({ web: { steps: 4 } }) });
  stage.agent('x', { capacity: { slots: 10 }, credits: 100 });
  stage.submit('w', steps(20), { project: 'web' });
  stage.submit('i', steps(3), { project: 'infra' });
  stage.readyAll();
  expect(running(stage)).toEqual({ w: 4, i: 3 });
  expect(why(stage, 'w/s9')).toBe('It waits for an agent: project web is at its quota of 4 steps.');
  expect(stage.scheduler.waiting().unmatched).toMatchObject({ quota: 16, resources: 0, several: 0 });
  stage.run('w/s0');
  expect(running(stage)).toEqual({ w: 4, i: 3 });
  expect(stage.scheduler.waiting().unmatched.quota).toBe(15);
});

test('"*" is the quota of each project that is not named, for itself', () => {
  const stage = new Stage({ topology: withQuotas({ web: {}, '*': { steps: 1 } }) });
  stage.agent('x', { capacity: { slots: 20 }, credits: 100 });
  for (const name of ['a', 'b', 'web']) stage.submit(name === 'web' ? 'w' : name, steps(4), { project: name });
  stage.readyAll();
  expect(running(stage)).toEqual({ a: 1, b: 1, w: 4 });
});

test('CPU and memory bound what steps ask for together, and a smaller step still fits', () => {
  const stage = new Stage({ topology: withQuotas({ p: { cpuMillis: 4_000, memoryBytes: 2 ** 30 } }) });
  stage.agent('x', { capacity: { slots: 20 }, credits: 100 });
  stage.submit('b', [
    { name: 'large', resources: { cpuMillis: 3_000, memoryBytes: 0 }, priority: 9 },
    { name: 'second', resources: { cpuMillis: 3_000, memoryBytes: 0 } },
    { name: 'small', resources: { cpuMillis: 1_000, memoryBytes: 0 } },
  ]);
  stage.submit('c', [
    { name: 'fills', resources: { cpuMillis: 0, memoryBytes: 2 ** 30 } },
    { name: 'waits', resources: { cpuMillis: 0, memoryBytes: 2 ** 20 } },
  ]);
  stage.readyAll();
  expect(running(stage)).toEqual({ b: 2, c: 1 });
  expect(why(stage, 'b/second')).toContain('project p is at its quota of what its steps may ask for: they have 4000m of at most 4000m CPU');
  expect(why(stage, 'c/waits')).toContain('1Gi of at most 1Gi of memory, and the step asks for 1Mi');
});

describe('a step that could never run within the quota is refused when it is submitted', () => {
  test.for([
    { resources: { cpuMillis: 4_001, memoryBytes: 0 }, field: 'cpuMillis', says: 'asks for 4001m CPU', rule: 'projects.p.quota.cpu' },
    {
      resources: { cpuMillis: 0, memoryBytes: 2 ** 31 },
      field: 'memoryBytes',
      says: 'asks for 2Gi of memory',
      rule: 'projects.p.quota.memory',
    },
  ])('$field', ({ resources, field, says, rule }) => {
    const stage = new Stage({ topology: withQuotas({ p: { cpuMillis: 4_000, memoryBytes: 2 ** 30 } }) });
    stage.submit('b', [{ name: 'fits' }, { name: 'large', resources }]);
    expect(stage.last.reply).toMatchObject({ kind: 'refused', code: 'BAD_REQUEST', field: `steps[1].resources.${field}` });
    expect(stage.last.reply).toMatchObject({ message: expect.stringContaining(says) });
    expect(stage.last.reply).toMatchObject({ message: expect.stringContaining(rule) });
    stage.submit('c', [{ name: 'large', resources }], { project: 'other' });
    expect(stage.last.reply).toMatchObject({ kind: 'build' });
  });
});

test('a new topology holds at once: what runs goes on, and a wider quota gives work to agents that were free', () => {
  const stage = new Stage();
  stage.agent('x', { capacity: { slots: 6 }, credits: 100 });
  stage.submit('b', steps(10));
  stage.readyAll();
  expect(running(stage)).toEqual({ b: 6 });
  apply(stage, withQuotas({ p: { steps: 2 } }));
  expect(running(stage)).toEqual({ b: 6 });
  for (const name of ['s0', 's1', 's2', 's3']) stage.run(`b/${name}`);
  expect(running(stage)).toEqual({ b: 2 });
  stage.run('b/s4');
  expect(running(stage)).toEqual({ b: 2 });
  apply(stage, withQuotas({ p: { steps: 4 } }));
  expect(running(stage)).toEqual({ b: 4 });
  apply(stage, OPEN_TOPOLOGY);
  expect(running(stage)).toEqual({ b: 5 });
});

test('a new leader counts what runs, and keeps the quota', () => {
  const stage = new Stage();
  apply(stage, withQuotas({ p: { steps: 2 } }));
  stage.agent('x', { capacity: { slots: 6 }, credits: 100 });
  stage.submit('b', steps(5));
  stage.readyAll();
  const held = ['b/s0', 'b/s1'].map((step) => {
    stage.accept(step);
    return { token: stage.token(step), phase: { kind: 'accepted' } as const };
  });
  stage.crash();
  stage.agent('x', { capacity: { slots: 6 }, credits: 100, held });
  stage.readyAll();
  expect(running(stage)).toEqual({ b: 2 });
  stage.run('b/s0');
  expect(running(stage)).toEqual({ b: 2 });
});

test('no agent is kept free for steps that their quota keeps', () => {
  const stage = new Stage({ topology: withQuotas({ p: { steps: 3 } }) });
  stage.agent('x', { capacity: { slots: 4 }, credits: 100 });
  stage.submit('b', [...steps(2), { name: 'wide', resources: { slots: 4 } }]);
  stage.readyAll();
  // It has waited long enough for the agent to be kept free for it.
  for (let round = 0; round < 70; round += 1) {
    stage.advance(1_000);
    stage.heartbeat('x', [stage.token('b/s0'), stage.token('b/s1')], 100);
  }
  stage.submit('o', steps(1), { project: 'other' });
  stage.readyAll();
  expect(running(stage)).toEqual({ b: 2 });
  apply(stage, withQuotas({ p: { steps: 2 } }));
  expect(running(stage)).toEqual({ b: 2, o: 1 });
});

test('room in a quota goes to an agent that was free all the time, where the one that made it takes nothing', () => {
  const stage = new Stage({ topology: withQuotas({ p: { steps: 1 } }) });
  stage.agent('x');
  stage.submit('b', steps(2));
  stage.readyAll();
  stage.agent('y');
  expect(stage.placeOf('b/s1')).toBeUndefined();
  stage.apply({ kind: 'agent-drained', session: stage.session('x'), reason: 'SIGTERM' });
  stage.run('b/s0');
  expect(stage.placeOf('b/s1')).toBe('y');
});

test('an agent that gained room while only kept steps were there gets the next step of another project', () => {
  const stage = new Stage({ topology: withQuotas({ p: { steps: 1 } }) });
  stage.agent('z');
  stage.submit('b', steps(2));
  stage.readyAll();
  stage.agent('x');
  stage.submit('o', steps(2), { project: 'other' });
  stage.readyAll();
  expect(stage.placeOf('o/s0')).toBe('x');
  // The one that found no agent goes: what is left of its kind are steps that the quota keeps.
  stage.apply({ kind: 'step-cancelled', step: stepId('o/s1'), by: 'ann', reason: 'r' });
  stage.run('o/s0');
  stage.submit('n', steps(1), { project: 'other' });
  stage.readyAll();
  expect(stage.placeOf('n/s0')).toBe('x');
});

test('a pool is wanted for no more steps than the quota lets run', () => {
  const stage = new Stage({ topology: withQuotas({ p: { steps: 4 } }) });
  stage.agent('x', { labels: { cluster: 'c', pool: 'small' }, capacity: { slots: 1 } });
  stage.submit('b', steps(50));
  stage.submit('o', steps(5), { project: 'other' });
  stage.readyAll();
  const shape = { labels: { cluster: 'c', pool: 'new' }, capacity: { slots: 1, cpuMillis: Infinity, memoryBytes: Infinity, custom: {} } };
  expect(stage.scheduler.demandOf({ ...shape, sandbox: [] })).toMatchObject({ kind: 'wanted', runnable: 3 + 5 });
});

test("the work of giving out others' steps does not grow with the queue of a project at its quota", () => {
  /** How often anything of the kept project's queued steps is looked at while another project's steps are placed and end. */
  const looks = (queued: number) => {
    const topology = withQuotas({ p: { steps: 1 } });
    const yard = new Yard({ limits: LIMITS, timings: DEFAULT_TIMINGS, topology });
    const turn = new Turn(yard, prngFrom(1), 'abc');
    const facts = { agent: agentId('x'), bootId: 'boot', labels: {}, capacity: { ...ROOM, slots: 2 }, sandbox: [], version: '1' };
    turn.begin(0);
    register(turn, { kind: 'agent-registered', facts, credits: 10_000, held: [], draining: false });
    const give = (name: string, project: string, count: number) => {
      const spec = { ...BUILD, project, steps: steps(count).map(stepOf) };
      submit(turn, { kind: 'build-submitted', id: buildId(name), spec, idempotencyKey: name });
      const nodes = present(yard.builds.get(buildId(name)), 'it was submitted').steps;
      for (const node of nodes) takeResolution(turn, node, { kind: 'ready', action: actionOf(node.id, {}) });
      dispatch(turn);
      return nodes;
    };
    const kept = give('b', 'p', queued).filter(({ record }) => record.state.kind === 'queued');
    expect(kept).toHaveLength(queued - 1);
    let count = 0;
    for (const node of kept) {
      for (const [key, value] of Object.entries({ record: node.record, rank: node.rank, spec: node.spec }))
        Object.defineProperty(node, key, { get: () => ((count += 1), value) });
    }
    for (const node of give('o', 'other', 20)) {
      expect(node.record.state.kind).toBe('offered');
      const agent = yard.fleet.agent(agentId('x'));
      const token = present([...agent.leases].find(([, step]) => step === node)?.[0], 'it has a lease');
      finish(turn, agent, token, SUCCESS);
      settle(turn);
      dispatch(turn);
    }
    return count;
  };
  expect(looks(20)).toBe(looks(2_000));
});

test('the file says it in the words of pools', () => {
  const { topology } = readTopology(
    'version: 1\nprojects:\n  web: {quota: {steps: 4, cpu: 2.5, memory: 8Gi}}\n  "*": {quota: {steps: 1}}\n',
  );
  expect(topology?.projects).toEqual({
    web: { weight: 1, quota: { steps: 4, cpuMillis: 2_500, memoryBytes: 8 * 2 ** 30 } },
    '*': { weight: 1, quota: { steps: 1 } },
  });
});
