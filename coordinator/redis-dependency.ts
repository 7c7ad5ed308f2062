import type { BreakerView } from '../base/breaker.ts';
import type { TimeMs } from '../base/clock.ts';
import type { RedisLedgerState } from './ledger/redis/redis.ts';

/**
 * Redis among what a coordinator depends on. There is no breaker before it, as the ledger must go on trying for as long as its
 * term lasts; `open` stands for a connection that is lost.
 */
export function redisDependency({ where, version, commits, reads, retries }: RedisLedgerState, now: TimeMs): BreakerView {
  const lost = [commits, reads].find((connection) => !connection.connected);
  const { latencyMs, lastError, since } = lost ?? commits;
  const answered = latencyMs === undefined ? 'has not answered yet' : `answered in ${latencyMs.toFixed(1)} ms`;
  const detail = `${version} at ${where}, ${lost === undefined ? answered : 'not connected'}`;
  const kind = lost === undefined ? 'closed' : 'open';
  const counts = { opened: 0, faults: retries, refused: 0, passed: 0 };
  return { at: now, dependency: 'redis', kind, since, openForMs: 0, lastFault: lastError, detail, counts };
}

/** Why Redis cannot be used now; undefined where it can, and where there is none. */
export function whyAway(view: BreakerView | undefined): string | undefined {
  if (view === undefined || view.kind === 'closed') return undefined;
  const { detail = '', at, since, lastFault } = view;
  return `${detail} for ${Math.max(0, Math.round((at - since) / 1_000))} s${lastFault === undefined ? '' : ` (${lastFault})`}`;
}
