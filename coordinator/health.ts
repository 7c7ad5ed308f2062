import type { BreakerView } from '../base/breaker.ts';
import type { Clock } from '../base/clock.ts';
import type { LoopLag } from '../base/loop-lag.ts';
import { reasonOf } from '../base/thrown.ts';
import type { BlobStore } from '../cache/blob-store.ts';
import { digestOf } from '../cache/digest.ts';
import type { RoleMachine } from './role/role.ts';
import { whyAway } from './redis-dependency.ts';
import { sleep } from './shell/sleep.ts';

/** One thing that must be right, and what is seen of it. */
export type Check = { readonly name: string; readonly ok: boolean; readonly reason: string };
export type Verdict = { readonly ok: boolean; readonly checks: readonly Check[] };

/** Whether this process lives and whether callers should come here, each with its reasons. */
export interface Health extends AsyncDisposable {
  /** False where only a new process helps. A process that hangs does not answer at all. */
  live(): Verdict;
  /** False where calls would fail at the moment. */
  ready(): Verdict;
}

export type HealthOptions = {
  readonly roles: Pick<RoleMachine, 'current' | 'stopping' | 'ledgerAnsweredAt'>;
  readonly ttlMs: number;
  readonly store: Pick<BlobStore, 'findMissing'>;
  readonly lag: LoopLag;
  /** How Redis answers; undefined where the ledger is not there. */
  readonly redis: () => BreakerView | undefined;
  readonly clock: Clock;
  /** Told whenever the answer to `ready` changes. */
  readonly onReady: (ok: boolean) => void;
};

/** Lag at which the process counts as stuck, and at which others should be asked instead. */
const LIVE_LAG_MS = 15_000;
const READY_LAG_MS = 1_000;
/** Time between two questions to the data plane, and the longest wait for its answer. */
const ASK_MS = 2_000;
const ANSWER_MS = 3_000;
const PROBE = digestOf(Buffer.from('Is anybody there?'));

export function watchHealth(options: HealthOptions): Health {
  const stop = new AbortController();
  let store: Check = { name: 'data-plane', ok: false, reason: 'has not been asked yet' };
  let told: boolean | undefined;
  const ready = () => verdictOf([leadership(options), ledger(options), ...redisCheck(options), store, lag(options, READY_LAG_MS)]);
  const watching = (async () => {
    while (!stop.signal.aborted) {
      store = await askStore(options, stop.signal);
      const { ok } = ready();
      if (ok !== told && !stop.signal.aborted) options.onReady(ok);
      told = ok;
      await sleep(ASK_MS, stop.signal);
    }
  })();
  return {
    live: () => verdictOf([lag(options, LIVE_LAG_MS)]),
    ready,
    async [Symbol.asyncDispose]() {
      stop.abort();
      await watching;
    },
  };
}

function verdictOf(checks: readonly Check[]): Verdict {
  return { ok: checks.every((check) => check.ok), checks };
}

function leadership({ roles }: HealthOptions): Check {
  const name = 'leadership';
  if (roles.stopping.aborted) return { name, ok: false, reason: 'this coordinator is stopping' };
  const role = roles.current();
  if (role.kind === 'leading') return { name, ok: true, reason: 'this coordinator leads' };
  if (role.leader === undefined) return { name, ok: false, reason: 'nobody is known to lead' };
  return { name, ok: true, reason: `the coordinator at ${role.leader.address} leads` };
}

function ledger({ roles, ttlMs, clock }: HealthOptions): Check {
  const agoMs = Math.max(0, Math.round(clock.monotonic() - roles.ledgerAnsweredAt));
  return { name: 'ledger', ok: agoMs <= ttlMs, reason: `answered ${agoMs} ms ago; it is asked several times in ${ttlMs} ms` };
}

/** A connection that broke is made anew at once: it counts once the ledger has not answered for as long as it may. */
function redisCheck(options: HealthOptions): readonly Check[] {
  const view = options.redis();
  if (view === undefined) return [];
  const { detail = '' } = view;
  return [{ name: 'redis', ok: view.kind === 'closed' || ledger(options).ok, reason: whyAway(view) ?? detail }];
}

function lag({ lag: loop }: HealthOptions, maxMs: number): Check {
  const lagMs = loop.lagMs();
  return { name: 'event-loop', ok: lagMs <= maxMs, reason: `was at most ${lagMs} ms late of late, ${maxMs} ms are allowed` };
}

async function askStore({ store, clock }: HealthOptions, stop: AbortSignal): Promise<Check> {
  const name = 'data-plane';
  const startedAt = clock.monotonic();
  try {
    await store.findMissing([PROBE], AbortSignal.any([stop, AbortSignal.timeout(ANSWER_MS)]));
    return { name, ok: true, reason: `answered in ${Math.round(clock.monotonic() - startedAt)} ms` };
  } catch (error) {
    return { name, ok: false, reason: reasonOf(error) };
  }
}
