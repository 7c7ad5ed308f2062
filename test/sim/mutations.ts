import { weightedTopology } from '../fixtures/weighted-topology.ts';
import { SANDBOX_TRAITS } from '../../base/sandbox-trait.ts';
import type { TimeMs } from '../../base/clock.ts';
import type { Event } from '../../coordinator/core/event.ts';
import { buildOf, type LeaseToken, type SessionId, type StepId } from '../../coordinator/core/ids.ts';
import { LIMITS } from '../../coordinator/core/limits.ts';
import type { Outcome } from '../../coordinator/core/outcome.ts';
import type { LedgerRecord } from '../../coordinator/core/record.ts';
import type { SimCore } from './coordinator.ts';
import type { Mutation } from './core.ts';

/** A core that hears other events than those that came. */
function hearing(change: (event: Event) => Event): (core: SimCore) => SimCore {
  return (core) => ({ ...core, apply: (event, now) => core.apply(change(event), now) });
}

/** A core whose outcomes are not what it decided. */
function saying(change: (outcome: Outcome, event: Event, now: TimeMs) => Outcome): (core: SimCore) => SimCore {
  return (core) => ({ ...core, apply: (event, now) => change(core.apply(event, now), event, now) });
}

function writing(change: (records: readonly LedgerRecord[]) => readonly LedgerRecord[]): (core: SimCore) => SimCore {
  return saying((outcome) => ({ ...outcome, writes: change(outcome.writes) }));
}

/** Takes a result under whatever token: it is counted for the step's current lease. */
function blindToTokens(core: SimCore): SimCore {
  const stepOf = new Map<LeaseToken, StepId>();
  const current = new Map<StepId, { readonly token: LeaseToken; readonly session: SessionId }>();
  const note = (outcome: Outcome) => {
    for (const send of outcome.sends) {
      if (send.kind !== 'tell-agent' || send.message.kind !== 'offer') continue;
      stepOf.set(send.message.token, send.message.step);
      current.set(send.message.step, { token: send.message.token, session: send.session });
    }
    return outcome;
  };
  return {
    ...core,
    resume: (now) => note(core.resume(now)),
    apply(event, now) {
      if (event.kind !== 'attempt-finished') return note(core.apply(event, now));
      const step = stepOf.get(event.token);
      const lease = step === undefined ? undefined : current.get(step);
      return note(core.apply(lease === undefined ? event : { ...event, ...lease }, now));
    },
  };
}

/** Believes that every agent that was ever heard of is still beating. */
function deafToSilence(core: SimCore): SimCore {
  const beats = new Map<SessionId, Extract<Event, { kind: 'heartbeat-received' }>>();
  return {
    ...core,
    apply(event, now) {
      if (event.kind === 'heartbeat-received') beats.set(event.session, event);
      if (event.kind === 'agent-disconnected') return core.apply({ kind: 'woke' }, now);
      const forged = event.kind === 'woke' ? [...beats.values()].map((beat) => core.apply(beat, now)) : [];
      const outcome = core.apply(event, now);
      const all = [...forged, outcome];
      return { ...outcome, writes: all.flatMap(({ writes }) => writes), sends: all.flatMap(({ sends }) => sends) };
    },
  };
}

/** Applies holds to a target that nobody has, and says that it did as it was told. */
function blindToHolds(core: SimCore): SimCore {
  let target = '';
  const away = 'agent:nowhere';
  return {
    ...core,
    apply(event, now) {
      if (event.kind !== 'hold-placed' && event.kind !== 'hold-lifted') return core.apply(event, now);
      target = event.target;
      const outcome = core.apply({ ...event, target: away }, now);
      const writes = outcome.writes.map((record): LedgerRecord => {
        if (record.kind === 'hold') return { ...record, hold: { ...record.hold, target } };
        return record.kind === 'hold-lifted' ? { ...record, target } : record;
      });
      return { ...outcome, writes };
    },
  };
}

/** Counts what it was called for: every `n`-th is singled out. */
function every(n: number): () => boolean {
  let count = 0;
  return () => {
    count += 1;
    return count % n === 0;
  };
}

/** The record with a lease that ran out long ago. */
function expired(record: LedgerRecord): LedgerRecord {
  if (record.kind !== 'step') return record;
  const { state } = record.step;
  if (state.kind !== 'running') return record;
  return { ...record, step: { ...record.step, state: { ...state, lease: { ...state.lease, expiresAt: 0 } } } };
}

/** Whether the record makes a lease or a session. */
function isGrant(record: LedgerRecord): boolean {
  return record.kind === 'session' || (record.kind === 'step' && record.step.state.kind === 'offered');
}

/** The build that the record belongs to. */
function ownerOf(record: LedgerRecord): string | undefined {
  if (record.kind === 'build') return record.build.id;
  if (record.kind === 'build-state') return record.id;
  return record.kind === 'step' || record.kind === 'step-spec' ? buildOf(record.id) : undefined;
}

/** Faults that the checkers must notice, at least one per invariant. */
export const MUTATIONS: readonly Mutation[] = [
  { invariant: 'fencing', about: 'a result under a lost lease counts for the current one', wrap: blindToTokens },
  { invariant: 'expiry', about: 'leases of silent agents are renewed', wrap: deafToSilence },
  {
    invariant: 'capacity',
    about: 'agents are taken for larger than they are',
    wrap: hearing((event) => {
      if (event.kind === 'heartbeat-received') return { ...event, credits: event.credits + 8 };
      if (event.kind !== 'agent-registered') return event;
      const { cpuMillis, memoryBytes, slots, custom } = event.facts.capacity;
      const capacity = { cpuMillis: 4 * cpuMillis, memoryBytes: 4 * memoryBytes, slots: slots + 4, custom };
      return { ...event, credits: event.credits + 8, facts: { ...event.facts, capacity } };
    }),
  },
  {
    invariant: 'capacity',
    about: 'credits are taken for more than they are',
    wrap: hearing((event) => ('credits' in event ? { ...event, credits: event.credits + 8 } : event)),
  },
  {
    invariant: 'selector',
    about: 'selectors are ignored',
    wrap: hearing((event) => {
      if (event.kind !== 'build-submitted') return event;
      return { ...event, spec: { ...event.spec, steps: event.spec.steps.map((step) => ({ ...step, selector: '' })) } };
    }),
  },
  {
    invariant: 'selector',
    about: 'sandbox traits are ignored',
    wrap: hearing((event) => {
      if (event.kind !== 'build-submitted') return event;
      return { ...event, spec: { ...event.spec, steps: event.spec.steps.map((step) => ({ ...step, sandbox: [] })) } };
    }),
  },
  {
    invariant: 'zone',
    about: 'every agent is trusted with everything',
    wrap: hearing((event) => {
      if (event.kind !== 'agent-registered') return event;
      return { ...event, facts: { ...event.facts, labels: { ...event.facts.labels, zone: 'production' } } };
    }),
  },
  {
    invariant: 'fair-share',
    about: 'one project counts for fifty',
    options: { topology: weightedTopology({ apple: 50 }) },
  },
  {
    invariant: 'quota',
    about: 'no project has one',
    options: { topology: weightedTopology({}) },
  },
  {
    invariant: 'retry-class',
    about: "the step's own failures are taken for the sandbox's",
    wrap: hearing((event) => {
      if (event.kind !== 'attempt-finished' || event.report.kind !== 'failed' || event.report.class !== 'exit') return event;
      return { ...event, report: { ...event.report, class: 'sandbox-error' } };
    }),
  },
  {
    invariant: 'quarantine',
    about: 'no number of lost agents is too many',
    options: { limits: { ...LIMITS, agentsLostToQuarantine: 1_000 } },
  },
  {
    invariant: 'replay',
    about: 'some changes of steps are not written',
    wrap: (core) => {
      const lose = every(25);
      return writing((records) => records.filter((record) => record.kind !== 'step' || !lose()))(core);
    },
  },
  {
    invariant: 'replay',
    about: 'holds are not written',
    wrap: writing((records) => records.filter((record) => record.kind !== 'hold')),
  },
  {
    invariant: 'demand',
    about: 'steps that wait for one that runs are not seen coming',
    wrap: (core) => ({ ...core, demandOf: (shape) => ({ ...core.demandOf(shape), ahead: 0 }) }),
  },
  {
    invariant: 'demand',
    about: 'a pool is wanted for what only others could run',
    wrap: (core) => ({
      ...core,
      demandOf: (shape) =>
        core.demandOf({ ...shape, labels: { ...shape.labels, zone: 'production', gpu: 'yes' }, sandbox: SANDBOX_TRAITS }),
    }),
  },
  {
    invariant: 'holds',
    about: 'holds keep nothing away',
    wrap: blindToHolds,
  },
  {
    invariant: 'ends',
    about: 'what a step left in a dependency cache is never written',
    wrap: saying((outcome) => ({ ...outcome, sends: outcome.sends.filter((send) => send.kind !== 'keep-dependencies') })),
  },
  {
    invariant: 'sealed',
    about: 'nobody asks whether the store has what was staged',
    wrap: saying((outcome) => ({ ...outcome, sends: outcome.sends.filter((send) => send.kind !== 'seal') })),
  },
  {
    invariant: 'published',
    about: 'a new leader lets be what the last one had not yet written into the action cache',
    wrap: (core) => ({
      ...core,
      resume(now) {
        const outcome = core.resume(now);
        return { ...outcome, sends: outcome.sends.filter((send) => send.kind !== 'publish') };
      },
    }),
  },
  {
    invariant: 'ends',
    about: 'some steps are never resolved',
    wrap: (core) => {
      const lose = every(10);
      return saying((outcome) => ({ ...outcome, sends: outcome.sends.filter((send) => send.kind !== 'resolve' || !lose()) }))(core);
    },
  },
  {
    invariant: 'one-result',
    about: 'an ended step ends again',
    wrap: (core) => {
      let ended: Extract<LedgerRecord, { kind: 'step' }> | undefined;
      return writing((records) => {
        const again =
          ended === undefined || ended.step.state.kind !== 'ended'
            ? []
            : [{ ...ended, step: { ...ended.step, state: { ...ended.step.state, at: 0 } } }];
        const last = records.findLast((record) => record.kind === 'step' && record.step.state.kind === 'ended');
        ended = last?.kind === 'step' ? last : undefined;
        return records.length === 0 ? records : [...records, ...again];
      })(core);
    },
  },
  {
    invariant: 'events',
    about: 'nobody notices that the ledger lost commits',
    store: { loseSilently: true },
  },
  {
    invariant: 'terms',
    about: 'the ledger takes commits of any term',
    store: { unfenced: true },
  },
  {
    invariant: 'terms',
    about: 'the ledger gives the lead to whoever asks',
    store: { generous: true },
  },
  {
    invariant: 'terms',
    about: 'a leader that stood still goes on as if no time had passed',
    peer: { overconfident: true },
  },
  {
    invariant: 'fenced',
    about: 'a leader does not believe that it was turned down',
    peer: { overconfident: true, deafToFences: true },
  },
  {
    invariant: 'fenced',
    about: 'the ledger takes commits after it has turned one down',
    store: { forgiving: true },
    peer: { overconfident: true, deafToFences: true },
  },
  {
    invariant: 'takeover',
    about: 'a new leader takes all leases for over',
    wrap: (core) => ({ ...core, restore: (records) => core.restore(records.map(expired)) }),
  },
  {
    invariant: 'commit-first',
    about: 'some leases and sessions are written one outcome late',
    wrap: (core) => {
      let late: readonly LedgerRecord[] = [];
      return writing((records) => {
        const now = [...late, ...records.filter((record) => !isGrant(record))];
        late = records.filter(isGrant);
        return now;
      })(core);
    },
  },
  {
    invariant: 'fencing',
    about: 'every term gives the same tokens',
    options: { nonce: 'f'.repeat(32) },
  },
  {
    invariant: 'ends',
    about: 'a new leader overlooks a build',
    wrap: (core) => {
      let overlooked: string | undefined;
      return {
        ...core,
        restore(records) {
          overlooked ??= records.find((record) => record.kind === 'build')?.build.id;
          core.restore(records.filter((record) => ownerOf(record) !== overlooked));
        },
      };
    },
  },
  {
    invariant: 'sharing',
    about: 'all projects are one',
    wrap: hearing((event) =>
      event.kind === 'build-submitted' ? { ...event, spec: { ...event.spec, project: 'all', scope: 'all' } } : event,
    ),
  },
  {
    invariant: 'events',
    about: 'some events are not written',
    wrap: (core) => {
      const lose = every(20);
      return writing((records) => records.filter((record) => record.kind !== 'event' || !lose()))(core);
    },
  },
];
