import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '../../base/clock.ts';
import { checkBytes } from '../chaos/checks/bytes.ts';
import { checkEnds } from '../chaos/checks/ends.ts';
import { checkKept } from '../chaos/checks/kept.ts';
import { readBack } from '../chaos/client.ts';
import type { Endpoints } from '../chaos/endpoints.ts';
import type { Invariant, ObservedBuild, Violation } from '../chaos/observation.ts';
import type { LabViolation } from './report.ts';

/*
 * While the store is away, what steps leave is staged with the data plane of the coordinator that leads. Where another host takes the lead
 * meanwhile, it cannot see that: steps that need it have the ones that made it run again, logs cannot be read there, and a build says of
 * itself later that all of it has been published (docs/cache.md, "When the store is down"). So some invariants do not hold for such a build
 * as it goes on, and everything must be right once the store is back and the first host has handed over what it had.
 */

/** Invariants that such a build may break on its way. */
const ON_THE_WAY: ReadonlySet<Invariant> = new Set<Invariant>(['kept', 'one-result', 'bytes', 'fenced']);
/** What builds say of themselves then. */
const WITHOUT_STORE = /the store did not answer|ran again, because what was left had gone/;
/** How long the hosts have for handing over. */
const HANDING_OVER_MS = 60_000;

export type Outage = {
  readonly excused: ReadonlySet<Violation>;
  readonly outage: { readonly builds: number; readonly endsTakenBack: number };
  /** Of the builds as they are at last. */
  readonly broken: readonly LabViolation[];
};

/** Looks again at all builds that went on without the store, once it is back, and says which violations that explains. */
export async function lookAgain(
  violations: readonly Violation[],
  observed: ReadonlyMap<string, ObservedBuild>,
  reading: { readonly endpoints: Endpoints; readonly signal: AbortSignal },
): Promise<Outage> {
  const suspects = new Set(violations.filter(({ invariant }) => ON_THE_WAY.has(invariant)).map(buildOf));
  const touched = new Set<string>();
  const broken: LabViolation[] = [];
  let endsTakenBack = 0;
  for (const [id, seen] of observed) {
    if (!suspects.has(id) && !wentWithout(seen)) continue;
    let last = { ...seen, ...(await readBack(id, reading)) };
    if (!wentWithout(last)) continue;
    touched.add(id);
    const until = systemClock.monotonic() + HANDING_OVER_MS;
    while (problemsOf(last).length > 0 && systemClock.monotonic() < until) {
      await sleep(1_000, undefined, { signal: reading.signal });
      last = { ...seen, ...(await readBack(id, reading)) };
    }
    broken.push(...problemsOf(last));
    endsTakenBack += takenBack(last);
  }
  const excused = new Set(violations.filter((one) => ON_THE_WAY.has(one.invariant) && touched.has(buildOf(one))));
  return { excused, outage: { builds: touched.size, endsTakenBack }, broken };
}

function buildOf({ where }: Pick<Violation, 'where'>): string {
  return where.split('/')[0] ?? '';
}

function wentWithout({ snapshot }: ObservedBuild): boolean {
  return snapshot?.build.degraded.some((line) => WITHOUT_STORE.test(line)) === true;
}

/** What is wrong with a build that went on without the store, now that nothing is away. */
export function problemsOf(build: ObservedBuild): readonly LabViolation[] {
  const found = [...checkKept(build), ...checkBytes(build), ...checkEnds(build)];
  return [...found, ...differing(build)].map(({ where, what }) => ({ invariant: 'whole', where, what }));
}

/** Steps whose ends tell of different outputs. */
function differing({ id, history = [] }: ObservedBuild): readonly { readonly where: string; readonly what: string }[] {
  const made = new Map<string, Set<string>>();
  for (const event of history) {
    if (event.kind !== 'step-ended' || event.verdict !== 'succeeded') continue;
    const outputs = JSON.stringify(event.result?.outputs ?? []);
    made.set(event.step, (made.get(event.step) ?? new Set()).add(outputs));
  }
  return [...made].flatMap(([step, { size }]) => (size === 1 ? [] : [{ where: `${id}/${step}`, what: `made ${size} different outputs` }]));
}

function takenBack({ history = [] }: ObservedBuild): number {
  const ends = history.filter(({ kind }) => kind === 'step-ended').map(({ step }) => step);
  return ends.length - new Set(ends).size;
}
