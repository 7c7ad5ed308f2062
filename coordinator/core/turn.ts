import { assert } from '../../base/assert.ts';
import type { TimeMs } from '../../base/clock.ts';
import type { Prng } from '../../base/prng.ts';
import { Batch } from './batch.ts';
import { leaseTokenOf, type LeaseToken } from './ids.ts';
import type { AgentNode, BuildNode, StepNode } from './nodes.ts';
import type { AgentMessage, Outbound, Outcome, Reply } from './outcome.ts';
import type { BuildEvent, LedgerRecord } from './record.ts';
import type { BuildState, StepRecord } from './state.ts';
import { leaseOf, type Draft } from './step-record.ts';
import type { Yard } from './yard.ts';

/**
 * One application of an event: the rules call it to change things, and it collects the outcome. What it is told to change
 * has changed when the call returns, for the rules that follow in the same turn.
 */
export class Turn {
  readonly yard: Yard;
  readonly prng: Prng;
  now: TimeMs = 0;
  reply: Reply | undefined;
  /** Steps that have ended in this turn and whose dependents and followers have not been told. */
  readonly ended: StepNode[] = [];
  /** Steps whose action is to be worked out. */
  readonly resolving: StepNode[] = [];
  readonly #nonce: string;
  #tokens = 0;
  #number = 0;
  readonly #writes = new Batch<LedgerRecord>();
  readonly #sends = new Batch<Outbound>();

  constructor(yard: Yard, prng: Prng, nonce: string) {
    this.yard = yard;
    this.prng = prng;
    this.#nonce = nonce;
  }

  begin(now: TimeMs): void {
    this.now = Math.max(this.now, now);
    this.#number += 1;
    this.reply = undefined;
  }

  finish(): Outcome {
    const next = this.yard.timers.next();
    // What ran out while nobody scheduled, or before a step was resolved, is due now.
    const wakeAt = next === undefined ? undefined : Math.max(next, this.now);
    return { writes: this.#writes.take(), sends: this.#sends.take(), reply: this.reply, wakeAt };
  }

  /** Makes the record durable and true. */
  put(record: LedgerRecord): void {
    this.#writes.add(record);
    this.yard.evolve(record);
  }

  /** Makes durable what is true already. */
  keep(record: LedgerRecord): void {
    this.#writes.add(record);
  }

  /**
   * Gives a step its next record, and tells the build's watchers where an event is given. Of a step's records in one turn
   * only the last counts.
   */
  change(step: StepNode, draft: Draft, event?: BuildEvent): void {
    if (event !== undefined) this.say(step.build, event);
    draft.lastEventSeq = event === undefined ? (draft.lastEventSeq ?? 0) : event.seq;
    const record: StepRecord = draft;
    // A record that gave a lease back stays: whoever reads the records in order must not see the room taken twice.
    if (step.writeTurn === this.#number && !step.writeReleased) this.#writes.drop(step.writeAt);
    step.writeTurn = this.#number;
    step.writeAt = this.#writes.size;
    const held = leaseOf(step.record);
    step.writeReleased = held !== undefined && leaseOf(record)?.token !== held.token;
    this.#writes.add({ kind: 'step', id: step.id, step: record });
    this.yard.evolveStep(step, record);
  }

  changeBuild(build: BuildNode, state: BuildState, event?: BuildEvent): void {
    if (event !== undefined) this.say(build, event);
    this.put({ kind: 'build-state', id: build.id, state: { ...state, lastEventSeq: build.eventSeq } });
  }

  /** Appends to the build's history. */
  say(build: BuildNode, event: BuildEvent): void {
    assert(event.seq === build.eventSeq + 1, 'events of a build are numbered without gaps');
    this.#writes.add({ kind: 'event', build: build.id, event });
    this.yard.evolveEvent(build, event);
  }

  send(outbound: Outbound): void {
    this.#sends.add(outbound);
  }

  /** To the agent's newest session, where it is connected. */
  tell(agent: AgentNode, message: AgentMessage): void {
    if (agent.connected && agent.session !== undefined) this.send({ kind: 'tell-agent', session: agent.session.session, message });
  }

  newToken(): LeaseToken {
    this.#tokens += 1;
    return leaseTokenOf(this.#nonce, this.#tokens);
  }

  /** A token of this nonce is in use already: new ones start above it. */
  sawToken(token: LeaseToken): void {
    const dot = token.indexOf('.');
    if (token.slice(0, dot) === this.#nonce) this.#tokens = Math.max(this.#tokens, Number(token.slice(dot + 1)));
  }
}

/** The number of the build's next event. */
export function nextSeq(build: BuildNode): number {
  return build.eventSeq + 1;
}
