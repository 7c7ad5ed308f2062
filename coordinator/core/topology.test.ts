import { describe, expect, test } from 'vitest';
import { agentId, buildId, Stage, stepId } from '../../test/scenarios/stage.ts';
import { weightedTopology } from '../../test/fixtures/weighted-topology.ts';
import { OPEN_TOPOLOGY, type Cluster, type Topology } from '../../topology/model.ts';

const pool = (name: string, more: object = {}) => ({ name, class: 'central' as const, selector: '', sandbox: [], ...more });
const cluster = (name: string, zone: Cluster['zone'], ...pools: Cluster['pools']): Cluster => ({ name, zone, pools });
const strict = (...clusters: readonly Cluster[]): Topology => ({ ...OPEN_TOPOLOGY, unlisted: 'refuse', clusters });

function apply(stage: Stage, topology: Topology, more: { readonly base?: string; readonly digest?: string } = {}) {
  const base = more.base ?? stage.scheduler.topologies().at(-1)?.digest ?? '';
  const digest = more.digest ?? `digest of ${JSON.stringify(topology)}`;
  return stage.apply({ kind: 'topology-applied', base, digest, text: 'text', topology, by: 'ann', reason: 'why not' });
}

const runsOn = (stage: Stage, agent: string) => stage.scheduler.agent(agentId(agent))?.running ?? [];

describe('a topology', () => {
  test('is applied only on top of the one that it was made for, and a repeat changes nothing', () => {
    const stage = new Stage();
    expect(apply(stage, weightedTopology({ a: 2 }), { digest: 'one' }).reply).toEqual({ kind: 'topology', revision: 1, isNew: true });
    expect(apply(stage, weightedTopology({ a: 2 }), { digest: 'one', base: '' }).reply).toEqual({
      kind: 'topology',
      revision: 1,
      isNew: false,
    });
    expect(apply(stage, weightedTopology({ a: 3 }), { digest: 'two', base: '' }).reply).toMatchObject({
      kind: 'refused',
      code: 'WRONG_STATE',
      field: 'base_digest',
    });
    expect(apply(stage, weightedTopology({ a: 3 }), { digest: 'two', base: 'one' }).reply).toMatchObject({ revision: 2, isNew: true });
    stage.crash();
    expect(stage.scheduler.topologies().map(({ revision, digest, by, reason }) => [revision, digest, by, reason])).toEqual([
      [1, 'one', 'ann', 'why not'],
      [2, 'two', 'ann', 'why not'],
    ]);
    expect(stage.scheduler.topology).toEqual(weightedTopology({ a: 3 }));
  });

  test('is remembered for as many revisions as the limit says', () => {
    const stage = new Stage({ limits: { topologiesKept: 3 } });
    for (let weight = 1; weight <= 5; weight += 1) apply(stage, weightedTopology({ a: weight }));
    expect(stage.scheduler.topologies().map(({ revision }) => revision)).toEqual([3, 4, 5]);
    stage.crash();
    expect(apply(stage, weightedTopology({ a: 6 })).reply).toMatchObject({ revision: 6 });
  });

  test('takes effect on agents at once: outsiders get nothing new, finish what they run, and say why', () => {
    const stage = new Stage();
    stage.agent('a1', { labels: { cluster: 'old', pool: 'p', zone: 'trusted' }, capacity: { slots: 2 } });
    stage.submit('b1', [{ name: 's1' }, { name: 's2', needs: ['s1'] }]);
    stage.readyAll();
    stage.accept('b1/s1');
    apply(stage, strict(cluster('new', 'trusted', pool('p'))));
    expect(stage.scheduler.agent(agentId('a1'))?.keptFrom).toEqual(['it is in no pool: the topology does not list its cluster old']);
    stage.start('b1/s1');
    stage.finish('b1/s1');
    stage.readyAll();
    expect(stage.state('b1/s2').kind).toBe('queued');
    expect(stage.scheduler.explain(stepId('b1/s2'), stage.now)?.summary).toContain('the topology does not list its cluster old');
    stage.agent('a2', { labels: { cluster: 'new', pool: 'p', zone: 'trusted' } });
    expect(runsOn(stage, 'a2')).toEqual([stepId('b1/s2')]);
  });

  test('that takes an agent back gives it the steps that wait', () => {
    const stage = new Stage({ topology: strict() });
    stage.agent('a1', { labels: { cluster: 'c', pool: 'arm', zone: 'trusted', arch: 'arm64' } });
    stage.submit('b1', [{ name: 's1', selector: 'pool=arm,region=eu,class=edge' }]);
    stage.readyAll();
    expect(runsOn(stage, 'a1')).toEqual([]);
    apply(
      stage,
      strict({
        ...cluster('c', 'trusted', pool('arm', { selector: 'arch=arm64', class: 'edge' })),
        region: 'eu',
      }),
    );
    expect(runsOn(stage, 'a1')).toEqual([stepId('b1/s1')]);
    expect(stage.scheduler.agent(agentId('a1'))?.labels).toMatchObject({
      cluster: 'c',
      pool: 'arm',
      region: 'eu',
      class: 'edge',
      zone: 'trusted',
    });
    expect(stage.scheduler.pools().map(({ name }) => name)).toEqual(['c/arm']);
  });

  test('lowers the zone of agents, so that steps for a higher one go elsewhere', () => {
    const stage = new Stage({ topology: strict(cluster('low', 'untrusted'), cluster('high', 'production')) });
    stage.agent('a1', { labels: { cluster: 'low', zone: 'production' } });
    stage.submit('b1', [{ name: 's1', zone: 'trusted' }]);
    stage.readyAll();
    expect(runsOn(stage, 'a1')).toEqual([]);
    stage.agent('a2', { labels: { cluster: 'high', zone: 'untrusted' } });
    expect(runsOn(stage, 'a2')).toEqual([]);
    stage.agent('a3', { labels: { cluster: 'high', zone: 'trusted' } });
    expect(runsOn(stage, 'a3')).toEqual([stepId('b1/s1')]);
  });

  test('leaves holds on its pools as they are', () => {
    const stage = new Stage({ topology: strict(cluster('c', 'trusted', pool('big'))) });
    stage.agent('a1', { labels: { cluster: 'c', pool: 'big', zone: 'trusted' } });
    stage.apply({ kind: 'hold-placed', target: 'pool:c/big', hold: 'pause', reason: 'upkeep', by: 'ann', expiresAt: undefined });
    stage.submit('b1', [{ name: 's1' }]);
    stage.readyAll();
    expect(runsOn(stage, 'a1')).toEqual([]);
  });

  test('refuses builds that break its rules, takes those that do not, and leaves those that run', () => {
    const stage = new Stage();
    stage.submit('b1', [{ name: 's1' }]);
    const builds = { names: ['web-*'], labels: { team: { values: [] } } };
    apply(stage, { ...OPEN_TOPOLOGY, builds, projects: { p: { weight: 1, unfinishedSteps: 3 } } });
    expect(stage.submit('b2', [{ name: 's1' }]).reply).toMatchObject({ kind: 'refused', code: 'BAD_REQUEST', field: 'name' });
    expect(stage.submit('b2', [{ name: 's1' }], { name: 'web-a' }).reply).toMatchObject({ kind: 'refused', field: 'labels' });
    expect(stage.submit('b2', [{ name: 's1' }], { name: 'web-a', labels: { team: 'x' } }).reply).toMatchObject({ kind: 'build' });
    const many = [{ name: 's1' }, { name: 's2' }];
    expect(stage.submit('b3', many, { name: 'web-b', labels: { team: 'x' } }).reply).toMatchObject({
      kind: 'refused',
      code: 'LIMIT_EXCEEDED',
    });
    expect(stage.submit('b1', [{ name: 's1' }]).reply).toEqual({ kind: 'build', id: buildId('b1'), existing: true });
  });

  test('changes the weights of projects while their steps wait', () => {
    const stage = new Stage();
    stage.agent('a1', { capacity: { slots: 10 }, credits: 1_000 });
    const steps = Array.from({ length: 60 }, (_, index) => ({ name: `s${index}` }));
    stage.submit('b1', steps, { project: 'light' });
    stage.submit('b2', steps, { project: 'heavy' });
    stage.readyAll();
    apply(stage, weightedTopology({ heavy: 4 }));
    for (let round = 0; round < 40; round += 1) {
      const oldest = runsOn(stage, 'a1')[0] ?? '';
      stage.run(`${oldest.startsWith(buildId('b1')) ? 'b1' : 'b2'}/${oldest.split('/')[1]}`);
    }
    expect(runsOn(stage, 'a1').filter((step) => step.startsWith(buildId('b2')))).toHaveLength(8);
  });

  test('is planned without being applied: which agents it moves, and which queued steps it strands', () => {
    const stage = new Stage();
    stage.agent('a1', { labels: { cluster: 'c', pool: 'p', zone: 'trusted' } });
    stage.agent('a2', { labels: { cluster: 'elsewhere', pool: 'p', zone: 'trusted' } });
    stage.submit('b1', [{ name: 's1' }, { name: 's2' }, { name: 's3', zone: 'trusted', selector: 'cluster=c' }]);
    stage.readyAll();
    const topology = strict(cluster('c', 'untrusted', pool('p')));
    expect(stage.scheduler.topologyEffects(topology)).toEqual({
      agents: [
        { agent: 'a1', change: 'zone trusted becomes untrusted, class none becomes central' },
        { agent: 'a2', change: 'gets no work any more: the topology does not list its cluster elsewhere' },
      ],
      stranded: [{ steps: 1, example: stepId('b1/s3'), selector: 'cluster=c', zone: 'trusted' }],
    });
    expect(stage.scheduler.topologies()).toEqual([]);
  });
});
