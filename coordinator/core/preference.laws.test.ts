import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { present } from '../../base/assert.ts';
import { Stage } from '../../test/scenarios/stage.ts';
import { OPEN_TOPOLOGY, type Cluster, type Topology } from '../../topology/model.ts';

const NAMES = ['a', 'b', 'c', 'd'] as const;
const pool = fc.record({ price: fc.constantFrom(0, 1, 2), steps: fc.constantFrom(undefined, 1, 2, 5) });
const cluster = fc.record({
  region: fc.constantFrom(undefined, 'eu', 'us'),
  spill: fc.record({ afterMs: fc.constantFrom(0, 3_000, 20_000), to: fc.shuffledSubarray([...NAMES]) }),
  pools: fc.tuple(pool, pool),
});
const world = fc.record({
  clusters: fc.tuple(cluster, cluster, cluster, cluster),
  home: fc.constantFrom(...NAMES),
  agents: fc.array(fc.record({ cluster: fc.constantFrom(...NAMES), pool: fc.nat(1), slots: fc.integer({ min: 1, max: 4 }) }), {
    minLength: 1,
    maxLength: 8,
  }),
  /** How many steps come, and how much time passes, one after the other. */
  deeds: fc.array(
    fc.oneof(fc.record({ submit: fc.integer({ min: 1, max: 12 }) }), fc.record({ advance: fc.nat(8_000) }), fc.record({ end: fc.nat(3) })),
    {
      minLength: 4,
      maxLength: 25,
    },
  ),
});
type World = typeof world extends fc.Arbitrary<infer W> ? W : never;

function topologyOf({ clusters, home }: World): Topology {
  const listed = clusters.map(({ region, spill, pools }, index): Cluster => ({
    name: present(NAMES[index], 'there are as many names'),
    zone: 'production',
    ...(region === undefined ? {} : { region }),
    spill,
    pools: pools.map(({ price, steps }, at) => ({
      name: `p${at}`,
      class: 'central',
      selector: '',
      sandbox: [],
      price,
      limits: steps === undefined ? {} : { steps },
    })),
  }));
  return { ...OPEN_TOPOLOGY, unlisted: 'refuse', clusters: listed, projects: { p: { weight: 1, home } } };
}

/** How far a pool is from the home by the file alone: what is less comes first. */
function distance({ clusters, home }: World, at: { readonly cluster: (typeof NAMES)[number]; readonly pool: number }): readonly number[] {
  const from = present(clusters[NAMES.indexOf(home)], 'the home is a cluster');
  const there = present(clusters[NAMES.indexOf(at.cluster)], 'agents are of clusters');
  const price = there.pools[at.pool === 0 ? 0 : 1].price;
  if (at.cluster === home) return [0, 0, price];
  const place = from.spill.to.indexOf(at.cluster);
  const near = from.region !== undefined && from.region === there.region ? 1 : 2;
  return [near, place < 0 ? from.spill.to.length : place, price];
}

function isLess(left: readonly number[], right: readonly number[]): boolean {
  const at = left.findIndex((value, index) => value !== right[index]);
  return at >= 0 && (left[at] ?? 0) < (right[at] ?? 0);
}

/** `b1/s` of a step's id. */
function nameOf(id: string): string {
  return id.replace(/^b-0*/, '');
}

test('no pool runs more than its limit, no step passes a better pool with room, none leaves a busy home too early, and all of them run', () => {
  let spilled = 0;
  let limited = 0;
  fc.assert(
    fc.property(world, (drawn) => {
      // All steps that there can be may wait for home: only so many of a class do, the others leave it at once.
      const stage = new Stage({ topology: topologyOf(drawn), limits: { parkedPerClass: 25 * 12 } });
      const agents = drawn.agents.map((agent, index) => ({ ...agent, name: `x${index}` }));
      for (const { name, cluster: inCluster, pool: inPool, slots } of agents)
        stage.agent(name, { labels: { cluster: inCluster, pool: `p${inPool}`, zone: 'production' }, capacity: { slots }, credits: 10_000 });
      const homeIsThere = agents.some((agent) => agent.cluster === drawn.home);
      const { afterMs } = present(drawn.clusters[NAMES.indexOf(drawn.home)], 'the home is a cluster').spill;
      const running = (name: string) => stage.scheduler.agents().find(({ id }) => id === name)?.running ?? [];
      const check = () => {
        const used = new Map<string, number>();
        for (const { name, cluster: inCluster, pool: inPool } of agents)
          used.set(`${inCluster}/${inPool}`, (used.get(`${inCluster}/${inPool}`) ?? 0) + running(name).length);
        const hasRoom = (agent: (typeof agents)[number]) => {
          const bound = drawn.clusters[NAMES.indexOf(agent.cluster)]?.pools[agent.pool === 0 ? 0 : 1].steps ?? Infinity;
          const use = used.get(`${agent.cluster}/${agent.pool}`) ?? 0;
          expect(use).toBeLessThanOrEqual(bound);
          if (use === bound && running(agent.name).length < agent.slots) limited += 1;
          return use < bound && running(agent.name).length < agent.slots;
        };
        const free = agents.filter(hasRoom);
        for (const record of stage.last.writes) {
          if (record.kind !== 'step' || record.step.state.kind !== 'offered') continue;
          const { agent: id } = record.step.state.lease;
          const got = present(
            agents.find(({ name }) => name === id),
            'offers go to agents',
          );
          for (const other of free)
            expect(isLess(distance(drawn, other), distance(drawn, got)), `${other.name} before ${got.name}`).toBe(false);
          if (got.cluster === drawn.home || !homeIsThere) continue;
          spilled += 1;
          expect(stage.now - (record.step.readyAt ?? 0)).toBeGreaterThanOrEqual(afterMs);
        }
      };
      /** Agents take what they are offered and keep what they have: a lapsed offer would be a reason to avoid one. */
      const beat = () => {
        for (const { name } of agents) {
          const tokens = running(name).map((id) => stage.token(nameOf(id)));
          if (tokens.length > 0) stage.heartbeat(name, tokens, 10_000);
          if (tokens.length > 0) check();
        }
      };
      let count = 0;
      const endSome = (number: number) => {
        for (const { name } of agents) {
          for (const id of running(name).slice(0, number)) {
            stage.run(nameOf(id));
            check();
          }
        }
      };
      for (const deed of drawn.deeds) {
        if ('submit' in deed) {
          count += 1;
          stage.submit(
            `b${count}`,
            Array.from({ length: deed.submit }, (_, index) => ({ name: `s${index}` })),
          );
          stage.readyAll();
          beat();
        } else if ('advance' in deed) {
          for (let at = 0; at < deed.advance; at += 1_000) {
            stage.advance(1_000);
            check();
            beat();
          }
        } else endSome(deed.end);
      }
      for (let round = 0; round < 400 && stage.scheduler.builds({ phase: 'running', limit: 1 }).length > 0; round += 1) {
        stage.advance(1_000);
        beat();
        endSome(99);
      }
      expect(stage.scheduler.builds({ phase: 'running', limit: 1 })).toEqual([]);
    }),
    { numRuns: 60 },
  );
  // The law was put to the test at all.
  expect(spilled).toBeGreaterThan(0);
  expect(limited).toBeGreaterThan(0);
});
