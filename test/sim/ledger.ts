import { Fault } from '../../base/fault.ts';
import type { Prng } from '../../base/prng.ts';
import type { LedgerRecord } from '../../coordinator/core/record.ts';
import type { Ledger, LogRecord } from '../../coordinator/ledger/ledger.ts';
import type { MemoryLedger } from '../../coordinator/ledger/memory.ts';
import type { World } from './world.ts';

export type LedgerLinkOptions = {
  readonly world: World;
  readonly inner: MemoryLedger;
  readonly prng: Prng;
  readonly commitMaxMs: number;
  /** Whether the coordinator dies now, right after a commit of which it will not hear. */
  readonly diesAfterCommit: () => boolean;
  readonly die: () => void;
  /** The records of a commit, at the instant at which the ledger has them. */
  readonly applied: (records: readonly (LedgerRecord | LogRecord)[]) => void;
};

/** One coordinator's way to the ledger, which lives longer than it. */
export interface LedgerLink extends Ledger {
  /**
   * The coordinator dies. A commit under way is done before, is never done, or arrives when another term may be there;
   * in each case nobody hears of it.
   */
  cut(): void;
  readonly inFlight: boolean;
}

export function ledgerLink({ world, inner, prng, commitMaxMs, applied, diesAfterCommit, die }: LedgerLinkOptions): LedgerLink {
  let dead = false;
  let inFlight: (() => void) | undefined;
  const never = new Promise<never>(() => {});
  return {
    traits: inner.traits,
    lead: (...args) => inner.lead(...args),
    renew: (...args) => inner.renew(...args),
    resign: (...args) => inner.resign(...args),
    load: (...args) => inner.load(...args),
    events: (...args) => inner.events(...args),
    log: (...args) => inner.log(...args),
    incarnation: (...args) => inner.incarnation(...args),
    [Symbol.asyncDispose]: async () => {},
    commit(term, records, signal) {
      if (dead) return never;
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const write = async () => {
        try {
          await inner.commit(term, records, signal);
          applied(records);
        } catch (error) {
          if (!(error instanceof Fault)) throw error;
          if (dead) return world.trace(`ledger: a late commit is refused (${error.code})`);
          reject(error);
        }
        inFlight = undefined;
        if (!dead && diesAfterCommit()) die();
        if (!dead) resolve();
      };
      const cancel = world.after(prng.below(commitMaxMs + 1), () => {
        world.promised();
        void write().catch(reject); // rejects where the ledger itself is broken: the coordinator's driver reports it
      });
      inFlight = () => {
        cancel();
        const fate = prng.below(3);
        world.trace(`ledger: the commit under way is ${['done', 'lost', 'late'][fate]}`);
        if (fate === 1) return;
        world.promised();
        if (fate === 0) void write().catch(reject);
        else world.after(prng.below(20_000), () => void write().catch(reject));
      };
      return promise;
    },
    cut() {
      dead = true;
      inFlight?.();
      inFlight = undefined;
    },
    get inFlight() {
      return inFlight !== undefined;
    },
  };
}
