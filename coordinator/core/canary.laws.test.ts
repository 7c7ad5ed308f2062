import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { Stage } from '../../test/scenarios/stage.ts';

const POOLS = ['c/edge', 'c/central', 'd/edge'] as const;
const deed = fc.oneof(
  { weight: 4, arbitrary: fc.record({ submit: fc.integer({ min: 1, max: 6 }), pinned: fc.option(fc.nat(2)) }) },
  { weight: 4, arbitrary: fc.record({ end: fc.nat(5), count: fc.integer({ min: 1, max: 3 }) }) },
  { weight: 3, arbitrary: fc.record({ judge: fc.nat(2), why: fc.constantFrom(undefined, undefined, 'it failed', 'it failed again') }) },
  { weight: 1, arbitrary: fc.record({ canary: fc.nat(2) }) },
);

/** `b1/s` of a step's id. */
function nameOf(id: string): string {
  return id.replace(/^b-0*/, '');
}

test('a degraded pool gets canaries and nothing else, and no free agent stays free while a step waits that may run there', () => {
  let kept = 0;
  let tried = 0;
  fc.assert(
    fc.property(fc.array(deed, { minLength: 5, maxLength: 40 }), (deeds) => {
      const stage = new Stage();
      const agents = POOLS.flatMap((place, at) => [0, 1].map((index) => ({ name: `x${at}${index}`, place, slots: 1 + index })));
      for (const { name, place, slots } of agents) {
        const [cluster = '', pool = ''] = place.split('/');
        stage.agent(name, { labels: { cluster, pool }, capacity: { slots }, credits: 1_000_000 });
      }
      const degraded = new Set<string>();
      /** Where steps of the build may run, undefined for anywhere; and whether they are canaries. */
      const builds = new Map<string, { readonly place: string | undefined; readonly isCanary: boolean }>();
      const running = (name: string) => stage.scheduler.agents().find(({ id }) => id === name)?.running ?? [];
      const check = () => {
        for (const record of stage.last.writes) {
          if (record.kind !== 'step' || record.step.state.kind !== 'offered') continue;
          const { agent } = record.step.state.lease;
          const place = agents.find(({ name }) => name === agent)?.place ?? '';
          const isCanary = builds.get(nameOf(record.id).split('/')[0] ?? '')?.isCanary === true;
          if (degraded.has(place)) expect(isCanary, `${record.id} came to ${place}`).toBe(true);
          if (degraded.has(place)) tried += 1;
        }
        const free = new Set(agents.filter(({ name, slots }) => running(name).length < slots).map(({ place }) => place));
        for (const { record, steps } of stage.scheduler.builds({ phase: 'running', limit: 1_000 })) {
          if (!steps.some((step) => step.record.state.kind === 'queued')) continue;
          const { place, isCanary } = builds.get(nameOf(record.id)) ?? { place: undefined, isCanary: false };
          for (const other of free) {
            if (place !== undefined && other !== place) continue;
            if (!isCanary && degraded.has(other)) kept += 1;
            expect(!isCanary && degraded.has(other), `${record.id} waits although ${other} has room`).toBe(true);
          }
        }
      };
      const submit = (count: number, place: string | undefined, isCanary: boolean) => {
        const name = `b${builds.size + 1}`;
        builds.set(name, { place, isCanary });
        const [cluster = '', pool = ''] = place?.split('/') ?? [];
        const where = place === undefined ? {} : { selector: `cluster=${cluster}, pool=${pool}` };
        const canary = isCanary ? ({ canary: true, cacheable: false } as const) : {};
        stage.submit(
          name,
          Array.from({ length: count }, (_, index) => ({ name: `s${index}`, ...where, ...canary })),
        );
        check();
        for (let index = 0; index < count; index += 1) {
          stage.ready(`${name}/s${index}`);
          check();
        }
      };
      for (const done of deeds) {
        if ('submit' in done) submit(done.submit, done.pinned === null ? undefined : POOLS[done.pinned], false);
        else if ('canary' in done) submit(1, POOLS[done.canary], true);
        else if ('end' in done) {
          for (const id of running(agents[done.end]?.name ?? '').slice(0, done.count)) {
            stage.run(nameOf(id));
            check();
          }
        } else {
          const pool = POOLS[done.judge] ?? '';
          if (done.why === undefined) degraded.delete(pool);
          else degraded.add(pool);
          stage.apply({ kind: 'canary-judged', pool, why: done.why });
          check();
        }
      }
    }),
    { numRuns: 150 },
  );
  // The law was put to the test at all.
  expect(kept).toBeGreaterThan(0);
  expect(tried).toBeGreaterThan(0);
});
