import { CANARY_PROJECT } from '../../topology/model.ts';
import type { Refusal } from './admission.ts';
import type { Event } from './event.ts';
import type { BuildSpec } from './spec.ts';
import type { Turn } from './turn.ts';

/**
 * Canary builds find out whether a pool works before users' steps do. While the newest one of a pool has failed, the pool is degraded:
 * it gets nothing new but canaries, and steps go elsewhere where they may. The shell submits and judges them (`canaries.ts` there).
 */

/** No caller's scope begins with a dot: nobody else can have builds in it. */
export const CANARY_SCOPE = '.canary';

export function isCanary({ project, scope }: Pick<BuildSpec, 'project' | 'scope'>): boolean {
  return project === CANARY_PROJECT && scope === CANARY_SCOPE;
}

/** The project of canaries is not for others. */
export function checkReserved(spec: BuildSpec): Refusal | undefined {
  if (spec.project !== CANARY_PROJECT || isCanary(spec)) return undefined;
  const message = `The project ${CANARY_PROJECT} is for the canary builds of pools: submit with the credential of another one`;
  return { code: 'FORBIDDEN', message, field: 'project' };
}

export function takeVerdict(turn: Turn, { pool: name, why }: Extract<Event, { kind: 'canary-judged' }>): void {
  const { fleet, tally } = turn.yard;
  turn.reply = { kind: 'done' };
  const pool = fleet.pools.get(name);
  if (pool === undefined || pool.degraded?.why === why) return;
  if (why !== undefined && pool.degraded === undefined) tally.poolsDegraded += 1;
  fleet.degrade(pool, why === undefined ? undefined : { why, since: pool.degraded?.since ?? turn.now });
}
