import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { agentId, Stage } from '../../test/scenarios/stage.ts';
import { atLeast, ZONES, type Zone } from '../../base/zone.ts';
import { OPEN_TOPOLOGY, type Topology } from '../../topology/model.ts';

const zone = fc.constantFrom(...ZONES);
const name = fc.constantFrom('a', 'b');
const pool = fc.record({
  name,
  class: fc.constant('central' as const),
  selector: fc.constantFrom('', 'arch=arm64'),
  sandbox: fc.constant([]),
});
const cluster = fc.record({ name, zone, pools: fc.uniqueArray(pool, { selector: (one) => one.name, maxLength: 2 }) });
const topology = fc
  .record({
    unlisted: fc.constantFrom('accept' as const, 'refuse' as const),
    clusters: fc.uniqueArray(cluster, { selector: (one) => one.name }),
  })
  .map((drawn): Topology => ({ ...OPEN_TOPOLOGY, ...drawn }));

const deed = fc.oneof(
  fc.record({ kind: fc.constant('apply' as const), topology }),
  fc.record({
    kind: fc.constant('agent' as const),
    number: fc.nat(3),
    labels: fc.record({ cluster: name, pool: name, zone, arch: fc.constantFrom('arm64', 'amd64') }),
  }),
  fc.record({ kind: fc.constant('submit' as const), zone }),
  fc.record({ kind: fc.constantFrom('run' as const, 'crash' as const) }),
);

/** Whether an agent with these labels of its credential may have a step for the zone, worked out from the file alone. */
function allows({ unlisted, clusters }: Topology, labels: Readonly<Record<string, string>>, wanted: Zone): boolean {
  const own = ZONES.find((one) => one === labels['zone']) ?? 'untrusted';
  const listed = clusters.find((one) => one.name === labels['cluster']);
  if (listed === undefined) return unlisted === 'accept' && atLeast(own, wanted);
  const pools = listed.pools.filter((one) => one.name === labels['pool'] && (one.selector === '' || labels['arch'] === 'arm64'));
  return (listed.pools.length === 0 || pools.length > 0) && atLeast(own, wanted) && atLeast(listed.zone, wanted);
}

test('while topologies change and coordinators die, every offer goes where the topology of the moment lets it, and no step is lost', () => {
  fc.assert(
    fc.property(fc.array(deed, { minLength: 5, maxLength: 60 }), (deeds) => {
      const stage = new Stage();
      let revision = 0;
      const check = () => {
        for (const record of stage.last.writes) {
          if (record.kind !== 'step' || record.step.state.kind !== 'offered') continue;
          const agent = stage.scheduler.agent(record.step.state.lease.agent);
          const wanted = stage.scheduler.step(record.id)?.spec.zone ?? 'production';
          expect(allows(stage.scheduler.topology, agent?.facts.labels ?? {}, wanted)).toBe(true);
        }
      };
      const apply = (next: Topology) => {
        revision += 1;
        const base = stage.scheduler.topologies().at(-1)?.digest ?? '';
        stage.apply({ kind: 'topology-applied', base, digest: `${revision}`, text: '', topology: next, by: 'ann', reason: '' });
      };
      /** Ends everything that is offered or runs. */
      const runAll = () => {
        for (const { record } of stage.scheduler.builds({ limit: 1_000 })) {
          if (stage.state(`${record.spec.name}/s`).kind !== 'offered') continue;
          stage.run(`${record.spec.name}/s`);
          check();
        }
      };
      let builds = 0;
      for (const one of deeds) {
        if (one.kind === 'apply') apply(one.topology);
        else if (one.kind === 'agent')
          stage.agent(`a${one.number}`, { labels: one.labels, bootId: `${stage.now}-${builds}`, credits: 1_000 });
        else if (one.kind === 'submit') {
          builds += 1;
          stage.submit(`b${builds}`, [{ name: 's', zone: one.zone }]);
          check();
          stage.readyAll();
        } else if (one.kind === 'run') runAll();
        else stage.crash();
        check();
      }
      apply(OPEN_TOPOLOGY);
      stage.agent('last', { labels: { cluster: 'z', zone: 'production' }, capacity: { slots: 100 }, credits: 1_000 });
      expect(stage.scheduler.agent(agentId('last'))?.keptFrom).toEqual([]);
      // Less than an offer stands: each is taken by the next round.
      for (let round = 0; round < 120 && stage.scheduler.builds({ phase: 'running', limit: 1 }).length > 0; round += 1) {
        stage.readyAll();
        runAll();
        stage.advance(1_000);
      }
      expect(stage.scheduler.builds({ phase: 'running', limit: 10 }).map(({ record }) => record.spec.name)).toEqual([]);
    }),
    { numRuns: 60 },
  );
});
