import { expect, test } from 'vitest';
import { present } from '../../base/assert.ts';
import { memoryLogger } from '../../base/log.ts';
import type { AttemptReport } from '../../cache/action/result.ts';
import { memoryStore } from '../../cache/memory.ts';
import type { Labels } from '../../base/labels.ts';
import { digestFor, failure, RESULT, Stage, stepId } from '../../test/scenarios/stage.ts';
import { CANARY_PROJECT, OPEN_TOPOLOGY, type CanaryRules, type Topology } from '../../topology/model.ts';
import type { BuildView } from '../core/view.ts';
import { startCanaries } from './canaries.ts';
import { canaryInputs, canaryOutput } from './canary-build.ts';

const never = new AbortController().signal;

function topologyOf(canaries: Partial<CanaryRules>, central: Partial<CanaryRules> = {}): Topology {
  const pool = { selector: '', sandbox: [] } as const;
  return {
    ...OPEN_TOPOLOGY,
    clusters: [
      {
        name: 'c',
        zone: 'production',
        pools: [
          { ...pool, name: 'edge', class: 'edge' },
          { ...pool, name: 'central', class: 'central', canary: central },
        ],
      },
    ],
    canaries,
  };
}

/** A core, canaries over it, and a cache that agents share. */
function openYard(topology: Topology) {
  const stage = new Stage({ topology });
  const store = memoryStore();
  const log = memoryLogger();
  const open = () =>
    startCanaries({
      core: {
        agents: () => stage.scheduler.agents(),
        builds: (filter) => stage.scheduler.builds(filter),
        pools: () => stage.scheduler.pools(),
        get topology() {
          return stage.scheduler.topology;
        },
      },
      driver: { now: () => stage.now, submit: async (event) => present(stage.apply(event).reply, 'the core answers') },
      storeOf: () => store,
      env: { log },
      everyMs: 1_000_000_000, // looks are the test's own
    });
  const builds = (pool: string) => stage.scheduler.builds({ project: CANARY_PROJECT, labels: { pool: `c/${pool}` }, limit: 100 });
  const running = (pool: string) =>
    present(
      builds(pool).find(({ state }) => state.kind === 'running'),
      'a canary is under way',
    );
  const stepIn = ({ steps: [step] }: BuildView) => present(step, 'a canary has a step').id;
  const placeOf = (pool: string) => {
    const { state } = present(stage.scheduler.step(stepIn(running(pool))), 'the step').record;
    return state.kind === 'offered' || state.kind === 'running' ? state.lease : undefined;
  };
  return {
    stage,
    store,
    log,
    open,
    builds,
    join: (name: string, pool: string, more: { readonly slots?: number; readonly credits?: number } = {}) => {
      const labels: Labels = { cluster: 'c', pool, zone: 'production' };
      stage.agent(name, { labels, capacity: { slots: more.slots ?? 2 }, credits: more.credits ?? 1_000, sandbox: ['isolatesNetwork'] });
    },
    placeOf,
    /** Has the action worked out, as the resolver does. */
    resolve: (pool: string) => {
      const id = stepIn(running(pool));
      stage.apply({
        kind: 'step-resolved',
        step: id,
        resolution: {
          kind: 'ready',
          action: { action: digestFor(id), inputRoot: canaryInputs(running(pool).record.id).root, inputBytes: 1, parts: [] },
        },
      });
    },
    finish: (pool: string, report: AttemptReport) => {
      const lease = present(placeOf(pool), 'it is on an agent');
      stage.apply({ kind: 'attempt-finished', session: stage.session(lease.agent), token: lease.token, report });
    },
    degraded: (pool: string) => stage.scheduler.pools().find(({ name }) => name === `c/${pool}`)?.degraded?.why,
    good: (pool: string): AttemptReport => {
      const digest = canaryOutput(running(pool).record.id);
      return { kind: 'succeeded', result: { ...RESULT, outputs: [{ kind: 'file', path: 'out', digest, executable: false }] } };
    },
    /** What the agent leaves in the cache. */
    leave: async (pool: string) => {
      const { id } = running(pool).record;
      await store.put(canaryOutput(id), new TextEncoder().encode(`seen ${id}\n`), never);
    },
  };
}

test('each pool with agents gets a canary on its schedule, and a new leader goes on with it', async () => {
  const yard = openYard(topologyOf({ everyMs: 60_000 }, { everyMs: 0 }));
  const canaries = yard.open();
  await canaries.look();
  expect(yard.builds('edge')).toEqual([]);
  yard.join('e', 'edge');
  yard.join('m', 'central');
  await canaries.look();
  await canaries.look();
  expect(yard.builds('edge')).toHaveLength(1);
  expect(yard.builds('central')).toEqual([]);
  const [first] = yard.builds('edge');
  const step = present(first?.steps[0], 'a step').spec;
  expect(step).toMatchObject({
    selector: 'cluster=c, pool=edge',
    cacheable: false,
    canary: true,
    network: false,
    sandbox: ['isolatesNetwork'],
  });
  // Its input is in the cache.
  expect(await yard.store.findMissing([step.inputRoot, ...canaryInputs(present(first, 'a build').record.id).blobs.keys()], never)).toEqual(
    [],
  );
  yard.resolve('edge');
  expect(yard.placeOf('edge')?.agent).toBe('e');
  await yard.leave('edge');
  yard.finish('edge', yard.good('edge'));
  await canaries.look();
  expect(yard.degraded('edge')).toBeUndefined();
  expect(yard.builds('edge')).toHaveLength(1);
  yard.stage.crash();
  yard.join('e', 'edge');
  const next = yard.open();
  await next.look();
  expect(yard.builds('edge')).toHaveLength(1);
  yard.stage.advance(60_000);
  await next.look();
  // The last one is kept until the next one is there, and goes then.
  await next.look();
  expect(yard.builds('edge').map(({ state }) => state.kind)).toEqual(['running']);
  await next[Symbol.asyncDispose]();
  await canaries[Symbol.asyncDispose]();
});

test.for<{ readonly what: string; readonly report: AttemptReport; readonly says: string }>([
  { what: 'our side errs, at a second agent too', report: failure('sandbox-error', 'no namespaces'), says: 'no namespaces' },
  {
    what: 'other bytes are left',
    report: {
      kind: 'succeeded',
      result: { ...RESULT, outputs: [{ kind: 'file', path: 'out', digest: digestFor('x'), executable: false }] },
    },
    says: 'it left other bytes than it should',
  },
  {
    what: 'what must be denied is not',
    report: { kind: 'failed', class: 'exit', message: 'exit code 4', result: { ...RESULT, exitCode: 4 } },
    says: 'a route led out of it, although its network was off',
  },
])('a pool is degraded where $what: steps go elsewhere, and come back once a canary is well', async ({ report, says }) => {
  const yard = openYard(topologyOf({ everyMs: 300_000 }, { everyMs: 0 }));
  const { stage } = yard;
  yard.join('e1', 'edge');
  yard.join('e2', 'edge');
  const canaries = yard.open();
  await canaries.look();
  yard.resolve('edge');
  for (let tries = 0; tries < 2 && yard.builds('edge')[0]?.state.kind === 'running'; tries += 1) {
    yard.finish('edge', report);
    stage.advance(2_000);
  }
  expect(yard.builds('edge')[0]?.state.kind).toBe('ended');
  await canaries.look();
  expect(yard.degraded('edge')).toContain(says);
  expect(yard.log.entries.filter(({ event }) => event === 'pool-degraded')).toHaveLength(1);
  expect(stage.scheduler.tally.poolsDegraded).toBe(1);
  stage.submit('u', [{ name: 's' }, { name: 'here', selector: 'pool=edge' }], { project: 'shop' });
  stage.readyAll();
  expect(stage.placeOf('u/s')).toBeUndefined();
  expect(present(stage.scheduler.explain(stepId('u/here'), stage.now), 'known').summary).toContain('pool c/edge is degraded for 0s');
  expect(stage.scheduler.waiting().unmatched.breaker).toBe(2);
  yard.join('m', 'central', { slots: 1 });
  expect(stage.placeOf('u/s')).toBe('m');
  // It is tried again soon, and the canary is let in.
  stage.advance(30_000);
  for (const name of ['e1', 'e2']) stage.heartbeat(name, [], 1_000);
  await canaries.look();
  yard.resolve('edge');
  expect(['e1', 'e2']).toContain(yard.placeOf('edge')?.agent);
  await yard.leave('edge');
  yard.finish('edge', yard.good('edge'));
  expect(stage.placeOf('u/here')).toBeUndefined();
  await canaries.look();
  expect(yard.degraded('edge')).toBeUndefined();
  expect(['e1', 'e2']).toContain(stage.placeOf('u/here'));
  await canaries[Symbol.asyncDispose]();
});

test('a canary that waits for busy agents says nothing, and one that free agents do not take has failed', async () => {
  const yard = openYard(topologyOf({ everyMs: 60_000, timeoutMs: 10_000 }, { everyMs: 0 }));
  const { stage } = yard;
  yard.join('e', 'edge', { slots: 1 });
  stage.submit('u', [{ name: 's' }]);
  stage.readyAll();
  stage.accept('u/s');
  const canaries = yard.open();
  await canaries.look();
  yard.resolve('edge');
  for (let at = 0; at < 20; at += 1) {
    stage.advance(1_000);
    stage.heartbeat('e', [stage.token('u/s')], 1_000);
    await canaries.look();
  }
  expect(yard.builds('edge')).toHaveLength(1);
  expect(yard.degraded('edge')).toBeUndefined();
  // It takes no offers any more, though it has room.
  stage.heartbeat('e', [stage.token('u/s')], 0);
  stage.run('u/s');
  stage.heartbeat('e', [], 0);
  await canaries.look();
  await canaries.look();
  expect(yard.degraded('edge')).toMatch(/^no agent took it in \d+ s, although 1 could$/);
  await canaries[Symbol.asyncDispose]();
});

test('a new leader finds the pool degraded by the build of the last one', async () => {
  const yard = openYard(topologyOf({ everyMs: 60_000 }, { everyMs: 0 }));
  yard.join('e', 'edge');
  const canaries = yard.open();
  await canaries.look();
  yard.resolve('edge');
  yard.finish('edge', failure('exit', 'exit code 1'));
  await canaries.look();
  const why = present(yard.degraded('edge'), 'the pool is degraded');
  yard.stage.crash();
  yard.join('e', 'edge');
  expect(yard.degraded('edge')).toBeUndefined();
  const next = yard.open();
  await next.look();
  expect(yard.degraded('edge')).toBe(why);
  expect(yard.builds('edge')).toHaveLength(1);
  await next[Symbol.asyncDispose]();
  await canaries[Symbol.asyncDispose]();
});

test('a pool that takes nothing is left alone, and a canary that waits for it is given up without a verdict', async () => {
  const yard = openYard(topologyOf({ everyMs: 60_000, timeoutMs: 10_000 }, { everyMs: 0 }));
  const { stage } = yard;
  yard.join('e', 'edge');
  const canaries = yard.open();
  await canaries.look();
  stage.apply({ kind: 'hold-placed', target: 'pool:c/edge', hold: 'pause', reason: 'r', by: 'ann', expiresAt: undefined });
  yard.resolve('edge');
  stage.advance(20_000);
  await canaries.look();
  stage.advance(100_000);
  stage.heartbeat('e', [], 1_000);
  await canaries.look();
  await canaries.look();
  expect(yard.builds('edge').map(({ state }) => state.kind)).toEqual(['ended']);
  expect(yard.degraded('edge')).toBeUndefined();
  stage.apply({ kind: 'hold-lifted', target: 'pool:c/edge', by: 'ann' });
  await canaries.look();
  yard.resolve('edge');
  expect(yard.placeOf('edge')?.agent).toBe('e');
  await canaries[Symbol.asyncDispose]();
});

test('where the schedule goes, the pool is left alone, and nobody else may have builds in the project', async () => {
  const yard = openYard(topologyOf({ everyMs: 60_000 }));
  const { stage } = yard;
  yard.join('e', 'edge');
  const canaries = yard.open();
  stage.apply({ kind: 'canary-judged', pool: 'c/edge', why: 'it was broken' });
  await canaries.look();
  expect(yard.degraded('edge')).toBe('it was broken');
  const text = 'version: 1';
  stage.apply({ kind: 'topology-applied', text, digest: digestFor(text), topology: OPEN_TOPOLOGY, base: '', by: 'ann', reason: '' });
  await canaries.look();
  await canaries.look();
  expect(yard.degraded('edge')).toBeUndefined();
  expect(yard.builds('edge')).toEqual([]);
  stage.submit('u', [{ name: 's' }], { project: CANARY_PROJECT });
  expect(stage.last.reply).toMatchObject({ kind: 'refused', code: 'FORBIDDEN', field: 'project' });
  await canaries[Symbol.asyncDispose]();
});
