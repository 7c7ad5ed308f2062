import type { Caller } from '../../base/caller.ts';
import type { ScaleInRequest__Output } from '../../proto/gen/switchyard/v1/ScaleInRequest.ts';
import type { ScaleInResponse } from '../../proto/gen/switchyard/v1/ScaleInResponse.ts';
import type { Shell } from '../shell/shell.ts';
import { confirmed, refusalOf } from './confirmed.ts';
import { bad, brief, textField, wholeField } from './fields.ts';

const POOL = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}\/[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;
const AGENTS_MAX = 10_000;

/** Puts as many agents on drain as there are too many, chosen by what is lost with them. @throws {Fault} BAD_REQUEST */
export async function scaleIn(
  { driver, core }: Pick<Shell, 'driver' | 'core'>,
  request: ScaleInRequest__Output,
  caller: Caller,
): Promise<ScaleInResponse> {
  const { pool, dryRun } = request;
  if (!POOL.test(pool)) throw bad('pool', `must be <cluster>/<pool>, but is "${brief(pool)}"`);
  const keep = wholeField(request.keep, 'keep', 0, AGENTS_MAX);
  const reason = textField(request.reason, 'reason', dryRun ? 0 : 1, 1_024);
  const expiresAtMs = wholeField(request.expiresAtMs, 'expires_at_ms', 0, Number.MAX_SAFE_INTEGER);
  if (expiresAtMs !== 0 && expiresAtMs <= driver.now()) throw bad('expires_at_ms', `is in the past: it is ${driver.now()} now`);
  if (!core.pools().some(({ name }) => name === pool)) {
    const known = core.pools().map(({ name }) => name);
    throw bad('pool', `names ${pool}, which has no agents; those that have are ${brief(known.join(', ') || 'none')}`);
  }
  const order = core.scaleInOrder(pool, driver.now());
  const chosen = order.slice(0, Math.max(0, order.length - keep));
  const expiresAt = expiresAtMs === 0 ? undefined : expiresAtMs;
  const hold = { kind: 'hold-placed', hold: 'drain', reason, by: caller.name, expiresAt } as const;
  // In one turn: nothing happens between the choice and the last of them.
  const replies = await confirmed(driver, async () => {
    if (!dryRun) return Promise.all(chosen.map(({ agent }) => driver.submit({ ...hold, target: `agent:${agent}` })));
    await driver.settled();
    return [];
  });
  for (const reply of replies) if (reply.kind !== 'done') throw refusalOf(reply);
  return {
    serving: dryRun ? order.length : order.length - chosen.length,
    agents: chosen.map(({ agent, running, sideEffects, workMs }) => ({ agent, running, sideEffects, workMs })),
  };
}
