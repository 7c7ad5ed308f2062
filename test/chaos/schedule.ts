import type { Prng } from '../../base/prng.ts';
import type { PlannedFault } from './fault.ts';

export type ScheduleOptions<K extends string = string> = {
  readonly kinds: readonly K[];
  readonly durationMs: number;
  /** Mean time from one fault to the next. */
  readonly everyMs: number;
  readonly leaseTtlMs: number;
  readonly termTtlMs: number;
};

/** Before the first fault, so that there is something to break, and after the last one is healed. */
const LEAD_IN_MS = 3_000;

/**
 * The faults of a run, in order of time: the same ones for the same generator and options. Kinds come in shuffled rounds,
 * so that a run long enough has each of them equally often. Durations go from a blink to well past lease or term.
 */
export function planFaults<K extends string>(prng: Prng, options: ScheduleOptions<K>): readonly PlannedFault<K>[] {
  const { kinds, durationMs, everyMs } = options;
  const faults: PlannedFault<K>[] = [];
  let round: K[] = [];
  if (kinds.length === 0) return faults;
  for (let atMs = LEAD_IN_MS; ;) {
    if (round.length === 0) round = shuffled(kinds, prng);
    const kind = round.pop();
    if (kind === undefined) return faults;
    const forMs = durationOf(kind, options, prng);
    if (atMs > durationMs - LEAD_IN_MS) return faults;
    faults.push({ kind, atMs: Math.round(atMs), forMs: Math.round(Math.min(forMs, durationMs - atMs)), draw: prng.next() });
    atMs += everyMs * (0.4 + 1.2 * prng.next());
  }
}

function durationOf(kind: string, { leaseTtlMs, termTtlMs }: ScheduleOptions, prng: Prng): number {
  const between = (low: number, high: number) => low + (high - low) * prng.next();
  // One in three is over before anybody must notice.
  const short = prng.below(3) === 0;
  switch (kind) {
    case 'kill-agent':
    case 'stop-agent':
      return short ? between(200, 1_000) : between(leaseTtlMs * 0.8, leaseTtlMs * 1.6);
    case 'full-disk-agent':
    case 'full-disk-blobs':
    case 'few-files-agent':
    case 'few-files-leader':
      return between(1_000, leaseTtlMs);
    case 'term-agent':
    case 'term-leader':
    case 'kill-data-plane':
      return between(200, 1_000);
    default:
      return short ? between(200, termTtlMs * 0.5) : between(termTtlMs * 0.8, termTtlMs * 2.5);
  }
}

function shuffled<K>(kinds: readonly K[], prng: Prng): K[] {
  const left = [...kinds];
  const out: K[] = [];
  while (left.length > 0) out.push(...left.splice(prng.below(left.length), 1));
  return out;
}
