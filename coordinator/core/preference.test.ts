import { describe, expect, test } from 'vitest';
import { agentId, Stage, stepId } from '../../test/scenarios/stage.ts';
import { OPEN_TOPOLOGY, type Cluster, type Pool, type Topology } from '../../topology/model.ts';

const pool = (name: string, more: Partial<Pool> = {}): Pool => ({ name, class: 'central', selector: '', sandbox: [], ...more });
const cluster = (name: string, more: Partial<Cluster> = {}): Cluster => ({ name, zone: 'production', pools: [pool('p')], ...more });
const topologyOf = (clusters: readonly Cluster[], projects: Topology['projects'] = {}): Topology => ({
  ...OPEN_TOPOLOGY,
  unlisted: 'refuse',
  clusters,
  projects,
});

function join(stage: Stage, name: string, where: string, slots = 1) {
  const [inCluster = '', inPool = 'p'] = where.split('/');
  stage.agent(name, { labels: { cluster: inCluster, pool: inPool, zone: 'production' }, capacity: { slots }, credits: 1_000 });
}

const why = (stage: Stage, step: string) => stage.scheduler.explain(stepId(step), stage.now);
const placeWhy = (stage: Stage, step: string) => why(stage, step)?.placement.find(({ term }) => term === 'place')?.why;
const HOME = { p: { weight: 1, home: 'a' } };

describe('a step', () => {
  test('goes where its inputs were made, then into the region, then by the spill order, then to the rest', () => {
    const clusters = [
      cluster('far'),
      cluster('second'),
      cluster('first'),
      cluster('near', { region: 'eu' }),
      cluster('a', { region: 'eu', spill: { afterMs: 0, to: ['first', 'second'] } }),
    ];
    const stage = new Stage({ topology: topologyOf(clusters) });
    for (const { name } of clusters) join(stage, `on-${name}`, name);
    const users = ['u1', 'u2', 'u3', 'u4', 'u5'].map((name) => ({ name, takes: ['make'] }));
    stage.submit('b1', [{ name: 'make', selector: 'cluster=a' }, ...users]);
    stage.readyAll();
    stage.run('b1/make');
    stage.readyAll();
    expect(users.map(({ name }) => stage.placeOf(`b1/${name}`))).toEqual(['on-a', 'on-near', 'on-first', 'on-second', 'on-far']);
    expect(users.map(({ name }) => placeWhy(stage, `b1/${name}`))).toEqual([
      'a, where what it needs was made',
      'near, in the same region, as nothing before it had room: first comes a, where what it needs was made',
      'first, as nothing before it had room: first comes a, where what it needs was made',
      'second, as nothing before it had room: first comes a, where what it needs was made',
      'far, as nothing before it had room: first comes a, where what it needs was made',
    ]);
  });

  test('waits for its busy home as long as that says, and no longer', () => {
    const stage = new Stage({ topology: topologyOf([cluster('a', { spill: { afterMs: 5_000, to: [] } }), cluster('b')], HOME) });
    join(stage, 'a1', 'a');
    join(stage, 'b1', 'b', 4);
    stage.submit('b1', [{ name: 'first' }, { name: 'second' }, { name: 'third' }]);
    stage.readyAll();
    expect(stage.placeOf('b1/first')).toBe('a1');
    expect(stage.placeOf('b1/second')).toBeUndefined();
    expect(why(stage, 'b1/second')?.summary).toBe(
      'It waits for an agent: it waits up to 5s for an agent of the cluster a, the home of its project; then it goes elsewhere.',
    );
    // The home has room again: the one that waited longest gets it at once.
    stage.run('b1/first');
    expect(stage.placeOf('b1/second')).toBe('a1');
    stage.accept('b1/second');
    stage.advance(4_999);
    expect(stage.placeOf('b1/third')).toBeUndefined();
    stage.advance(1);
    expect(stage.placeOf('b1/third')).toBe('b1');
    expect(placeWhy(stage, 'b1/third')).toBe('b, as nothing before it had room: first comes a, the home of its project');
  });

  test('does not wait for a home that takes no work: paused, drained, or gone', () => {
    for (const trouble of ['pause', 'drain', 'gone'] as const) {
      const stage = new Stage({ topology: topologyOf([cluster('a', { spill: { afterMs: 60_000, to: [] } }), cluster('b')], HOME) });
      join(stage, 'a1', 'a');
      join(stage, 'b1', 'b');
      if (trouble === 'gone') stage.apply({ kind: 'agent-disconnected', session: stage.session('a1') });
      else stage.apply({ kind: 'hold-placed', target: 'cluster:a', hold: trouble, reason: 'x', by: 'ann', expiresAt: undefined });
      stage.submit('b1', [{ name: 's' }]);
      stage.readyAll();
      expect(stage.placeOf('b1/s'), trouble).toBe('b1');
    }
  });

  test('of no cluster goes to the cheapest pool with room, and keeps to its selector', () => {
    const dear = cluster('a', { pools: [pool('dear', { price: 3 }), pool('cheap', { price: 0.5 }), pool('mid', { price: 1 })] });
    const stage = new Stage({ topology: topologyOf([dear]) });
    for (const name of ['dear', 'mid', 'cheap']) join(stage, `on-${name}`, `a/${name}`);
    stage.submit('b1', [{ name: 's1' }, { name: 's2' }, { name: 's3' }, { name: 's4', selector: 'pool=dear' }]);
    stage.readyAll();
    expect(['s1', 's2', 's3', 's4'].map((name) => stage.placeOf(`b1/${name}`))).toEqual(['on-cheap', 'on-mid', 'on-dear', undefined]);
    expect(placeWhy(stage, 'b1/s1')).toBe('it belongs to no cluster: the cheapest pool with room, at 0.5 a core hour');
  });

  test('that failed on every agent of its home is tried elsewhere', () => {
    const stage = new Stage({ topology: topologyOf([cluster('a', { spill: { afterMs: 60_000, to: [] } }), cluster('b')], HOME) });
    join(stage, 'a1', 'a');
    join(stage, 'b1', 'b');
    stage.submit('b1', [{ name: 's' }]);
    stage.readyAll();
    stage.run('b1/s', { kind: 'failed', class: 'sandbox-error', message: 'broken', result: undefined });
    stage.advance(2_000);
    expect(stage.placeOf('b1/s')).toBe('b1');
  });
});

describe('the limits of a pool', () => {
  const limited = (limits: Pool['limits'] = {}) => topologyOf([cluster('a', { pools: [pool('p', { limits })] })]);

  test('hold whatever room its agents have; what comes free goes to whom it fits, on any of them', () => {
    const stage = new Stage({ topology: limited({ steps: 2 }) });
    stage.agent('small', { labels: { cluster: 'a', pool: 'p', zone: 'trusted' }, capacity: { slots: 8, cpuMillis: 1_000 } });
    stage.agent('big', { labels: { cluster: 'a', pool: 'p', zone: 'trusted', size: 'big' }, capacity: { slots: 8 } });
    stage.submit('b1', [
      { name: 's1', selector: '!size' },
      { name: 's2', selector: '!size' },
      { name: 's3', selector: 'size=big' },
    ]);
    stage.readyAll();
    expect(stage.placeOf('b1/s3')).toBeUndefined();
    expect(why(stage, 'b1/s3')?.reasons).toContain('pool a/p is at its limit: it runs 2 of at most 2 steps');
    stage.run('b1/s1');
    expect(stage.placeOf('b1/s3')).toBe('big');
  });

  test('count CPU and memory that steps ask for, and survive a crash of the coordinator', () => {
    const stage = new Stage({ topology: limited({ cpuMillis: 3_000, memoryBytes: 2 ** 30 }) });
    join(stage, 'a1', 'a', 10);
    const steps = ['s1', 's2'].map((name) => ({ name, resources: { cpuMillis: 2_000 } }));
    stage.submit('b1', [...steps, { name: 's3', resources: { memoryBytes: 2 ** 31 } }]);
    stage.readyAll();
    stage.accept('b1/s1');
    stage.crash();
    join(stage, 'a2', 'a', 10);
    expect(stage.placeOf('b1/s2')).toBeUndefined();
    expect(why(stage, 'b1/s2')?.reasons).toContain(
      'pool a/p is at its limit: it runs 2000m of at most 3000m CPU, and the step asks for 2000m',
    );
    expect(why(stage, 'b1/s3')?.reasons).toContain(
      'pool a/p is at its limit: it runs 0 of at most 1Gi of memory, and the step asks for 2Gi',
    );
  });

  test('that are raised let waiting steps go at once', () => {
    const stage = new Stage({ topology: limited({ steps: 1 }) });
    join(stage, 'a1', 'a', 10);
    stage.submit('b1', [{ name: 's1' }, { name: 's2' }]);
    stage.readyAll();
    expect(stage.placeOf('b1/s2')).toBeUndefined();
    stage.apply({ kind: 'topology-applied', base: '', digest: 'two', text: '', topology: limited({ steps: 2 }), by: 'ann', reason: '' });
    expect(stage.placeOf('b1/s2')).toBe('a1');
    expect(stage.scheduler.agent(agentId('a1'))?.running).toHaveLength(2);
  });
});
