import type { BuildEvent } from '../../cli/build-view.ts';
import type { Blame, FaultRecord } from './fault.ts';

/** How long things took to go on, in milliseconds, by what had happened. */
export interface Recovery {
  onEvent(build: string, event: BuildEvent): void;
  onFault(record: FaultRecord): void;
  /** `record.toMs` is set. */
  onHeal(record: FaultRecord): void;
  readonly times: ReadonlyMap<string, readonly number[]>;
}

/** Faults after which the steps of the agents must run elsewhere, or again. */
const OF_AGENTS = /^((kill|stop)-agent|(kill|isolate|mute)-cluster)$/;
/** Faults after which a cluster has work again; what counts is how soon once they are over. */
const OF_CLUSTERS = /^((kill|isolate|mute)-cluster|kill-gateway)$/;
/** Faults after which somebody else must lead before anything is dispatched. */
const OF_LEADERS = /^(kill|stop|term)-leader$/;
/** Faults in which nothing can be dispatched; what counts is how soon it goes on once they are over. */
const OF_REDIS = /^(kill|stop|full|readonly|pause|empty|failover)-redis$/;

/**
 * Measured by the ledger's own times, which are this host's: from the kill of an agent to each of its steps being accepted
 * elsewhere, and from the end of a leader, or of an outage of Redis, to the next step that is accepted anywhere.
 */
export function openRecovery(): Recovery {
  const running = new Map<string, string>();
  const times = new Map<string, number[]>();
  let lost: { readonly kind: string; readonly fromMs: number; readonly steps: Set<string> }[] = [];
  let stalled: { readonly name: string; readonly fromMs: number; readonly agents: Blame['agents'] }[] = [];
  const ends = (one: (typeof stalled)[number], agent: string, atMs: number) =>
    atMs > one.fromMs && (one.agents === 'all' || one.agents.includes(agent));
  const note = (name: string, ms: number) => {
    const known = times.get(name);
    if (known === undefined) times.set(name, [ms]);
    else known.push(ms);
  };
  return {
    times,
    onEvent(build, event) {
      const step = `${build}/${event.step}`;
      switch (event.kind) {
        case 'attempt-accepted':
          running.set(step, event.agent);
          for (const one of lost) {
            if (event.atMs > one.fromMs && one.steps.delete(step)) note(`${one.kind}: its step runs again`, event.atMs - one.fromMs);
          }
          for (const one of stalled) if (ends(one, event.agent, event.atMs)) note(one.name, event.atMs - one.fromMs);
          stalled = stalled.filter((one) => !ends(one, event.agent, event.atMs));
          break;
        case 'attempt-ended':
          running.delete(step);
          break;
        case 'step-ended':
          running.delete(step);
          for (const one of lost) one.steps.delete(step);
          break;
        default:
      }
      lost = lost.filter(({ steps }) => steps.size > 0);
    },
    onFault({ kind, fromMs, blame: { agents } }) {
      if (OF_AGENTS.test(kind)) {
        const steps = [...running].filter(([, agent]) => agents === 'all' || agents.includes(agent)).map(([step]) => step);
        if (steps.length > 0) lost.push({ kind, fromMs, steps: new Set(steps) });
      }
      if (OF_LEADERS.test(kind)) stalled.push({ name: `${kind}: next dispatch`, fromMs, agents: 'all' });
    },
    onHeal({ kind, toMs, blame: { agents } }) {
      if (toMs === undefined) return;
      if (OF_REDIS.test(kind)) stalled.push({ name: `${kind}: next dispatch once healed`, fromMs: toMs, agents: 'all' });
      if (OF_CLUSTERS.test(kind)) stalled.push({ name: `${kind}: next dispatch there once healed`, fromMs: toMs, agents });
    },
  };
}
