import type { CheckerFactory } from '../checker.ts';
import { Violation } from '../world.ts';

/**
 * Terms never overlap in effect. Every record that becomes durable belongs to the term that was given last and was not given
 * back. Nothing leaves a coordinator under a term once another coordinator has a later one, or a later one has committed.
 * Where the ledger forgot that a term was given, its holder cannot know: it may go on with what needs no commit until its own
 * time is over, and no longer.
 */
export const terms: CheckerFactory = ({ world, plan }) => {
  /** The nonce of the term whose records count. */
  let current: string | undefined;
  /** Terms that were followed by another one. */
  const succeeded = new Set<string>();
  /** By nonce: who got it. */
  const given = new Map<string, string>();
  /** Until when the holders of the terms that were there when the ledger lost something may not know of it. */
  const unknowing = new Map<string, number>();
  const succeedAllBut = (nonce: string) => {
    for (const earlier of given.keys()) if (earlier !== nonce) succeeded.add(earlier);
  };
  return {
    invariant: 'terms',
    observe(observation) {
      switch (observation.kind) {
        case 'led': {
          const { nonce } = observation.term;
          if (given.has(nonce)) throw new Violation('terms', `the term ${nonce} was given twice`);
          for (const [earlier, holder] of given) if (holder !== observation.holder) succeeded.add(earlier);
          given.set(nonce, observation.holder);
          current = nonce;
          return;
        }
        case 'resigned':
          if (current === observation.term.nonce) current = undefined;
          return;
        case 'lost':
          for (const nonce of given.keys())
            if (!unknowing.has(nonce) && !succeeded.has(nonce)) unknowing.set(nonce, world.now + plan.termTtlMs);
          current = observation.term?.nonce;
          if (current !== undefined) succeeded.delete(current);
          return;
        case 'durable':
          if (observation.term.nonce === current) return succeedAllBut(current);
          throw new Violation('terms', `term ${observation.term.counter} committed, although it is not the one that counts`);
        case 'sent': {
          const { term } = observation.lead;
          if (!succeeded.has(term.nonce) || world.now < (unknowing.get(term.nonce) ?? 0)) return;
          throw new Violation('terms', `term ${term.counter} sent ${JSON.stringify(observation.send)} after a later term was given`);
        }
        default:
          return;
      }
    },
  };
};
