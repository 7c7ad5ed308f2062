import { describe, expect, test } from 'vitest';
import { present } from '../../base/assert.ts';
import { failure, Stage, stepId } from '../../test/scenarios/stage.ts';
import { OPEN_TOPOLOGY, type Topology } from '../../topology/model.ts';

const TOPOLOGY: Topology = {
  ...OPEN_TOPOLOGY,
  clusters: [
    { name: 'a', zone: 'trusted', pools: [], spill: { afterMs: 3_600_000, to: [] } },
    { name: 'b', zone: 'trusted', pools: [] },
  ],
  projects: { p: { weight: 1, home: 'a' } },
};

/** Agents of the cluster a, one in each of as many pools. */
function joinAll(stage: Stage, count: number): void {
  for (let index = 0; index < count; index += 1)
    stage.agent(`a${index}`, { labels: { cluster: 'a', pool: `p${index}`, zone: 'trusted' }, capacity: { slots: 4 }, credits: 1_000 });
}

const steps = (count: number) => Array.from({ length: count }, (_, index) => ({ name: `s${index}`, selector: 'cluster=a' }));
const on = (stage: Stage, cluster: string, build: string, count: number) =>
  steps(count).filter(({ name }) => stage.placeOf(`${build}/${name}`)?.startsWith(cluster)).length;

/** Ends what runs in the cluster a by an error, until as many have. */
function breakSome(stage: Stage, build: string, count: number): void {
  let left = count;
  for (let round = 0; left > 0 && round < 50; round += 1) {
    for (const { name } of steps(12)) {
      if (left === 0 || stage.placeOf(`${build}/${name}`) === undefined) continue;
      stage.run(`${build}/${name}`, failure('sandbox-error', 'no network'));
      left -= 1;
    }
    if (left > 0) stage.advance(1_000);
  }
  expect(left).toBe(0);
}

describe('the breaker of a cluster', () => {
  test('opens after errors of several of its pools, though none of those has agents enough to judge by; one step probes it', () => {
    const stage = new Stage();
    joinAll(stage, 12);
    stage.agent('b1', { labels: { cluster: 'b', pool: 'p', zone: 'trusted' } });
    const retry = {
      limits: { exit: 0, timeout: 0, output: 0, oom: 0, 'agent-lost': 3, 'agent-stop': 10, 'sandbox-error': 50, 'cache-error': 5 },
      initialMs: 100,
      maxMs: 100,
    };
    stage.submit(
      'b1',
      steps(12).map((step) => ({ ...step, retry })),
    );
    stage.readyAll();
    breakSome(stage, 'b1', 8);
    stage.advance(1_000);
    stage.apply({ kind: 'woke' });
    const why = present(stage.scheduler.explain(stepId('b1/s0'), stage.now), 'the step is known').reasons[0];
    expect(why).toMatch(/^cluster a is held back: 8 errors of \d agents in .*: sandbox-error on a\d+: no network; next probe in/);
    expect(stage.scheduler.pools().every(({ name, breaker }) => name === 'b/p' || breaker.kind === 'closed')).toBe(true);
    expect(stage.scheduler.pools().find(({ name }) => name === 'a/p0')?.why).toBe(why);
    expect(stage.scheduler.tally.clusterBreakersOpened).toBe(1);
    expect(stage.scheduler.clusters()).toMatchObject([
      { name: 'a', breaker: { kind: 'open', errors: 8, lastError: expect.stringContaining('no network') } },
      { name: 'b', breaker: { kind: 'closed', errors: 0 } },
    ]);
    // What may go elsewhere does.
    stage.submit('b2', [{ name: 's0' }]);
    stage.readyAll();
    expect(stage.placeOf('b2/s0')).toBe('b1');
    // Those that were on their way end well or badly; after its time one step, and only one, is offered.
    for (const { name } of steps(12))
      if (stage.placeOf(`b1/${name}`) !== undefined) stage.run(`b1/${name}`, failure('sandbox-error', 'no network'));
    stage.advance(1_000);
    expect(on(stage, 'a', 'b1', 12)).toBe(0);
    for (let second = 0; second < 60 && on(stage, 'a', 'b1', 12) === 0; second += 1) stage.advance(1_000);
    expect(on(stage, 'a', 'b1', 12)).toBe(1);
    const probe = present(
      steps(12).find(({ name }) => stage.placeOf(`b1/${name}`) !== undefined),
      'one probes',
    );
    expect(stage.scheduler.clusters()[0]?.breaker.kind).toBe('half-open');
    stage.run(`b1/${probe.name}`);
    stage.advance(1);
    expect(stage.scheduler.clusters()[0]?.breaker.kind).toBe('closed');
    expect(on(stage, 'a', 'b1', 12)).toBeGreaterThan(1);
  });

  test('stays closed where one pool of the cluster works', () => {
    const stage = new Stage();
    joinAll(stage, 12);
    stage.submit('b1', steps(12));
    stage.readyAll();
    breakSome(stage, 'b1', 7);
    const well = present(
      steps(12).find(({ name }) => stage.placeOf(`b1/${name}`) !== undefined),
      'one goes on',
    );
    stage.run(`b1/${well.name}`);
    breakSome(stage, 'b1', 2);
    expect(
      stage.scheduler
        .pools()
        .map(({ why }) => why)
        .filter(Boolean),
    ).toEqual([]);
  });
});

test('what ran in a cluster that is lost goes elsewhere when its leases end, however long it may wait for a home that is busy', () => {
  const stage = new Stage({ topology: TOPOLOGY });
  joinAll(stage, 4);
  stage.agent('b1', { labels: { cluster: 'b', pool: 'p', zone: 'trusted' }, capacity: { slots: 20 }, credits: 1_000 });
  const all = steps(12).map(({ name }) => ({ name, sideEffects: false }));
  stage.submit('b1', all);
  stage.readyAll();
  expect(on(stage, 'a', 'b1', 12)).toBe(12);
  for (const { name } of all) {
    stage.accept(`b1/${name}`);
    stage.start(`b1/${name}`);
  }
  // The link is cut: nothing is heard any more, and the streams end.
  for (let index = 0; index < 4; index += 1) stage.apply({ kind: 'agent-disconnected', session: stage.session(`a${index}`) });
  stage.advance(14_000);
  expect(on(stage, 'b', 'b1', 12)).toBe(0);
  // The lease's time, and a first backoff of at most a second.
  stage.advance(2_000);
  expect(on(stage, 'b', 'b1', 12)).toBe(12);
});

test('a hold says who holds what, until when and why, also after a crash; what waits goes on at its end', () => {
  for (const target of ['cluster:a', 'pool:a/p0', 'agent:a0'] as const) {
    const stage = new Stage();
    joinAll(stage, 1);
    stage.apply({ kind: 'hold-placed', target, hold: 'drain', reason: 'new kernel', by: 'ann', expiresAt: 90_000 });
    stage.crash();
    joinAll(stage, 1);
    stage.submit('b1', [{ name: 's' }]);
    stage.readyAll();
    stage.advance(30_000);
    stage.apply({ kind: 'woke' });
    expect(stage.scheduler.explain(stepId('b1/s'), stage.now)?.summary).toContain(
      `${target} is on drain by ann, for another 1m: new kernel`,
    );
    expect(stage.scheduler.agents()[0]?.keptFrom).toEqual([`${target} is on drain by ann, for another 1m: new kernel`]);
    stage.advance(60_000);
    expect(stage.placeOf('b1/s')).toBe('a0');
  }
});
