import { backoffMs } from '../../base/backoff.ts';
import type { Turn } from './turn.ts';

/** How long a breaker stays open that opened `trips` times before: the ceiling doubles; half of it is sure, the rest drawn. */
export function openTimeMs(turn: Turn, trips: number, open: { readonly initialMs: number; readonly maxMs: number }): number {
  const ceilingMs = Math.min(open.maxMs, open.initialMs * 2 ** Math.min(trips, 16));
  return ceilingMs / 2 + backoffMs({ initialMs: ceilingMs / 2, maxMs: ceilingMs / 2 }, 0, turn.prng);
}
