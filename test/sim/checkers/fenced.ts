import type { CheckerFactory } from '../checker.ts';
import { Violation } from '../world.ts';

/**
 * A fenced coordinator changes nothing: once the ledger has turned a term's commit or renewal down, no record of the term
 * becomes durable, and soon nothing more leaves its holder.
 */
export const fenced: CheckerFactory = ({ world, plan }) => {
  /** By the term's nonce: since when. */
  const since = new Map<string, number>();
  const final = new Set<string>();
  return {
    invariant: 'fenced',
    observe(observation) {
      switch (observation.kind) {
        case 'refused': {
          const { nonce } = observation.term;
          if (!since.has(nonce)) since.set(nonce, world.now);
          // A renewal is turned down after every restart of the ledger; a commit that is under way then may still fit.
          if (observation.what === 'commit') final.add(nonce);
          return;
        }
        case 'lost':
          // The ledger may be back at a time at which it had turned nobody down.
          since.clear();
          final.clear();
          return;
        case 'durable':
          if (final.has(observation.term.nonce)) {
            throw new Violation('fenced', `term ${observation.term.counter} was turned down, and committed afterwards`);
          }
          return;
        case 'sent': {
          // Its holder hears of it with the answer, or gives the term up when its time is over.
          const at = since.get(observation.lead.term.nonce);
          if (at === undefined || world.now <= at + plan.termTtlMs) return;
          throw new Violation('fenced', `term ${observation.lead.term.counter} was turned down ${world.now - at} ms ago and still sends`);
        }
        default:
          return;
      }
    },
  };
};
