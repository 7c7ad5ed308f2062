import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { present } from '../../base/assert.ts';
import { digestFor, Stage } from '../../test/scenarios/stage.ts';
import { OPEN_TOPOLOGY, type PoolLimits, type Topology } from '../../topology/model.ts';

const PROJECTS = ['apple', 'birch', 'cedar'] as const;
const SLOTS = [1, 2, 4] as const;
const quota = fc.record({ steps: fc.constantFrom(undefined, 1, 2, 5), cpuMillis: fc.constantFrom(undefined, 2_000, 3_000) });
const quotas = fc.record({ apple: fc.option(quota), birch: fc.option(quota), '*': fc.option(quota) });
const deed = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ submit: fc.integer({ min: 1, max: 9 }), project: fc.nat(2), cpu: fc.constantFrom(0, 1_000, 2_000) }),
  },
  { weight: 4, arbitrary: fc.record({ end: fc.integer({ min: 1, max: 4 }), agent: fc.nat(2) }) },
  { weight: 1, arbitrary: fc.record({ quotas }) },
  { weight: 1, arbitrary: fc.record({ crash: fc.constant(true) }) },
);

type Quotas = typeof quotas extends fc.Arbitrary<infer Q> ? Q : never;

function topologyOf(drawn: Quotas): Topology {
  const named = Object.entries(drawn).flatMap(([name, limits]) => {
    if (limits === null) return [];
    const { steps, cpuMillis } = limits;
    return [[name, { weight: 1, quota: { ...(steps === undefined ? {} : { steps }), ...(cpuMillis === undefined ? {} : { cpuMillis }) } }]];
  });
  return { ...OPEN_TOPOLOGY, projects: Object.fromEntries(named) };
}

type Use = { steps: number; cpuMillis: number };

/** By the file alone. */
function quotaOf({ projects }: Topology, name: string): PoolLimits {
  return (projects[name] ?? projects['*'])?.quota ?? {};
}

function isOver({ steps = Infinity, cpuMillis = Infinity }: PoolLimits, use: Use): boolean {
  return use.steps > steps || use.cpuMillis > cpuMillis;
}

/** `b1/s` of a step's id. */
function nameOf(id: string): string {
  return id.replace(/^b-0*/, '');
}

test('no project runs more than its quota, and no free agent stays free while a step waits whose project has some left', () => {
  let kept = 0;
  let passed = 0;
  fc.assert(
    fc.property(quotas, fc.array(deed, { minLength: 5, maxLength: 40 }), (first, deeds) => {
      let topology = topologyOf(first);
      const stage = new Stage({ topology });
      const agents = SLOTS.map((slots, index) => ({ name: `x${index}`, slots }));
      const join = () => {
        for (const { name, slots } of agents) {
          const held = running(name).map((id) => ({ token: stage.token(nameOf(id)), phase: { kind: 'accepted' } as const }));
          stage.agent(name, { capacity: { slots }, credits: 1_000_000, held });
        }
      };
      const running = (name: string) => stage.scheduler.agents().find(({ id }) => id === name)?.running ?? [];
      /** Project and CPU by the name of the build. */
      const builds = new Map<string, { readonly project: string; readonly cpu: number }>();
      const buildOf = (id: string) => present(builds.get(nameOf(id).split('/')[0] ?? ''), 'a build of ours');
      let before = new Map<string, Use>();
      const check = () => {
        const uses = new Map<string, Use>(PROJECTS.map((name) => [name, { steps: 0, cpuMillis: 0 }]));
        for (const { name } of agents) {
          for (const id of running(name)) {
            const { project, cpu } = buildOf(id);
            const use = present(uses.get(project), 'one of the projects');
            use.steps += 1;
            use.cpuMillis += cpu;
          }
        }
        // Those that were there when a quota came stay.
        for (const [project, use] of uses)
          if (isOver(quotaOf(topology, project), use)) expect(use.steps).toBeLessThanOrEqual(before.get(project)?.steps ?? 0);
        before = uses;
        const isFree = agents.some(({ name, slots }) => running(name).length < slots);
        const waiting = new Set<string>();
        for (const { record } of stage.scheduler.builds({ phase: 'running', limit: 1_000 })) {
          const { project, cpu } = buildOf(`${record.id}/`);
          const steps = stage.scheduler.build(record.id)?.steps ?? [];
          if (!steps.some((step) => step.record.state.kind === 'queued')) continue;
          const use = present(uses.get(project), 'one of the projects');
          const isAtQuota = isOver(quotaOf(topology, project), { steps: use.steps + 1, cpuMillis: use.cpuMillis + cpu });
          waiting.add(`${project} ${isAtQuota}`);
          if (!isFree) continue;
          if (isAtQuota) kept += 1;
          expect(isAtQuota, `${record.id} of ${project} waits although there is room`).toBe(true);
        }
        if ([...waiting].some((one) => one.endsWith('true')) && [...waiting].some((one) => one.endsWith('false'))) passed += 1;
      };
      const endSome = (name: string, count: number) => {
        for (const id of running(name).slice(0, count)) {
          stage.run(nameOf(id));
          check();
        }
      };
      join();
      for (const done of deeds) {
        if ('submit' in done) {
          const name = `b${builds.size + 1}`;
          const project = present(PROJECTS[done.project], 'one of three');
          builds.set(name, { project, cpu: done.cpu });
          const resources = { cpuMillis: done.cpu, memoryBytes: 0 };
          stage.submit(
            name,
            Array.from({ length: done.submit }, (_, index) => ({ name: `s${index}`, resources })),
            { project },
          );
          stage.readyAll();
        } else if ('end' in done) endSome(`x${done.agent}`, done.end);
        else if ('quotas' in done) {
          topology = topologyOf(done.quotas);
          const text = `${JSON.stringify(topology)} ${stage.scheduler.topologies().length}`;
          const base = stage.scheduler.topologies().at(-1)?.digest ?? '';
          stage.apply({ kind: 'topology-applied', text, digest: digestFor(text), topology, base, by: 'ann', reason: 'test' });
        } else {
          // What holds as long as none was applied is the process's own.
          stage.crash();
          join();
          stage.readyAll();
        }
        check();
      }
    }),
    { numRuns: 150 },
  );
  // The law was put to the test at all.
  expect(kept).toBeGreaterThan(0);
  expect(passed).toBeGreaterThan(0);
});
