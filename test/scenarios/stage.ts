import { present } from '../../base/assert.ts';
import type { Labels } from '../../base/labels.ts';
import type { Resources } from '../../base/resources.ts';
import type { SandboxTrait } from '../../base/sandbox-trait.ts';
import { NO_USAGE, type AttemptReport, type StepResult } from '../../cache/action/result.ts';
import { digestOf, EMPTY_DIGEST, type Digest } from '../../cache/digest.ts';
import type { Event, HeldLease } from '../../coordinator/core/event.ts';
import { parseAgentId, parseBuildId, sessionIdOf, stepIdOf } from '../../coordinator/core/ids.ts';
import type { AgentId, BuildId, LeaseToken, SessionId, StepId } from '../../coordinator/core/ids.ts';
import type { Outbound, Outcome } from '../../coordinator/core/outcome.ts';
import type { LedgerRecord } from '../../coordinator/core/record.ts';
import { Scheduler, type SchedulerOptions } from '../../coordinator/core/scheduler.ts';
import type { BuildSpec, StepSpec } from '../../coordinator/core/spec.ts';
import type { ResolvedAction, StepState } from '../../coordinator/core/state.ts';
import { PLAIN_STEP } from '../fixtures/plain-step.ts';

/** What a test says of a step; `needs` are names whose outputs are no inputs, `takes` those whose outputs are. */
export type StepSketch = Omit<Partial<StepSpec>, 'needs' | 'resources'> & {
  readonly name: string;
  readonly needs?: readonly string[];
  readonly takes?: readonly string[];
  readonly resources?: Partial<Resources>;
};

export type AgentSketch = {
  readonly labels?: Labels;
  readonly capacity?: Partial<Resources>;
  readonly sandbox?: readonly SandboxTrait[];
  readonly credits?: number;
  readonly bootId?: string;
  readonly held?: readonly HeldLease[];
  readonly draining?: boolean;
};

export type BuildSketch = Partial<Omit<BuildSpec, 'steps'>> & { readonly key?: string };

const NONCES = ['a', 'b', 'c', 'd', 'e', 'f'];

/** A scheduler with a ledger of its outcomes, spoken to in the words of tests: builds and steps by short names. */
export class Stage {
  scheduler: Scheduler;
  now = 0;
  last: Outcome = { writes: [], sends: [], reply: undefined, wakeAt: undefined };
  /** All that was written since the beginning. */
  readonly ledger: LedgerRecord[] = [];
  readonly #options: Omit<SchedulerOptions, 'nonce'>;
  #terms = 0;

  constructor(options: Partial<SchedulerOptions> = {}) {
    this.#options = { seed: 1, ...options };
    this.scheduler = this.#newScheduler();
  }

  apply(event: Event): Outcome {
    return this.#took(this.scheduler.apply(event, this.now));
  }

  /** Lets time pass, waking the scheduler whenever it asked for it. Returns the outcomes that had something in them. */
  advance(ms: number): readonly Outcome[] {
    const until = this.now + ms;
    const outcomes: Outcome[] = [];
    for (let at = this.last.wakeAt; at !== undefined && at <= until; at = this.last.wakeAt) {
      this.now = Math.max(this.now, at);
      const outcome = this.apply({ kind: 'woke' });
      if (outcome.writes.length + outcome.sends.length > 0) outcomes.push(outcome);
    }
    this.now = until;
    return outcomes;
  }

  /** The coordinator dies; another one goes on from the ledger. */
  crash(): Outcome {
    this.scheduler = this.#newScheduler();
    this.scheduler.restore(this.ledger);
    return this.#took(this.scheduler.resume(this.now));
  }

  submit(name: string, steps: readonly StepSketch[], build: BuildSketch = {}): Outcome {
    const { key = name, ...rest } = build;
    const spec: BuildSpec = {
      name,
      project: 'p',
      scope: 'main',
      zoneCeiling: 'production',
      submittedBy: 'someone',
      labels: {},
      weight: 1,
      timeoutMs: undefined,
      failFast: false,
      ...rest,
      steps: steps.map(stepOf),
    };
    return this.apply({ kind: 'build-submitted', id: buildId(name), spec, idempotencyKey: key });
  }

  agent(name: string, sketch: AgentSketch = {}): Outcome {
    const { labels = {}, capacity = {}, sandbox = [], credits = 8, bootId = 'boot-1', held = [], draining = false } = sketch;
    const full: Resources = { cpuMillis: 64_000, memoryBytes: 2 ** 40, slots: 1, custom: {}, ...capacity };
    const facts = { agent: agentId(name), bootId, labels, capacity: full, sandbox, version: '1' };
    return this.apply({ kind: 'agent-registered', facts, credits, held, draining });
  }

  /** The action of a step is worked out; `action` tells apart what may be merged. */
  ready(step: string, action = step, more: Partial<ResolvedAction> = {}): Outcome {
    return this.apply({ kind: 'step-resolved', step: stepId(step), resolution: { kind: 'ready', action: actionOf(action, more) } });
  }

  /** Answers every request to work out an action, as a shell does that always finds a miss. */
  readyAll(): void {
    const build = (id: BuildId) => this.scheduler.build(id)?.steps ?? [];
    for (const { record } of this.scheduler.builds({ limit: 1_000 }).toReversed()) {
      for (const step of build(record.id)) {
        if (step.record.state.kind === 'resolving') {
          this.apply({ kind: 'step-resolved', step: step.id, resolution: { kind: 'ready', action: actionOf(step.id, {}) } });
        }
      }
    }
  }

  accept(step: string): Outcome {
    return this.apply({ kind: 'offer-accepted', ...this.#lease(step) });
  }

  reject(step: string, reason = 'no room'): Outcome {
    return this.apply({ kind: 'offer-rejected', ...this.#lease(step), reason });
  }

  start(step: string): Outcome {
    return this.apply({ kind: 'attempt-started', ...this.#lease(step) });
  }

  finish(step: string, report: AttemptReport = SUCCESS): Outcome {
    return this.apply({ kind: 'attempt-finished', ...this.#lease(step), report });
  }

  /** Accepts, starts and finishes. */
  run(step: string, report: AttemptReport = SUCCESS): Outcome {
    this.accept(step);
    this.start(step);
    return this.finish(step, report);
  }

  heartbeat(agent: string, tokens: readonly LeaseToken[], credits = 8): Outcome {
    return this.apply({ kind: 'heartbeat-received', session: this.session(agent), tokens, credits });
  }

  session(agent: string): SessionId {
    return present(
      this.scheduler.agents().find(({ id }) => id === agent),
      `agent ${agent} is registered`,
    ).session;
  }

  state(step: string): StepState {
    return present(this.scheduler.step(stepId(step)), `step ${step} exists`).record.state;
  }

  /** The token of the step's lease. */
  token(step: string): LeaseToken {
    return this.#lease(step).token;
  }

  /** The agent that the step is offered to or runs on; undefined where it is on none. */
  placeOf(step: string): string | undefined {
    const state = this.state(step);
    return state.kind === 'offered' || state.kind === 'running' ? state.lease.agent : undefined;
  }

  /** Steps by short name that were offered in the outcome, in that order. */
  offered(outcome: Outcome = this.last): readonly string[] {
    return outcome.sends.flatMap((send) => (send.kind === 'tell-agent' && send.message.kind === 'offer' ? [short(send.message.step)] : []));
  }

  #lease(step: string): { readonly session: SessionId; readonly token: LeaseToken } {
    const state = this.state(step);
    if (state.kind !== 'offered' && state.kind !== 'running') throw new Error(`Step ${step} is ${state.kind}, on no agent`);
    return { session: this.session(state.lease.agent), token: state.lease.token };
  }

  #newScheduler(): Scheduler {
    const nonce = present(NONCES[this.#terms % NONCES.length], 'the index is within bounds').repeat(
      1 + Math.floor(this.#terms / NONCES.length),
    );
    this.#terms += 1;
    return new Scheduler({ ...this.#options, nonce });
  }

  #took(outcome: Outcome): Outcome {
    this.ledger.push(...outcome.writes);
    this.last = outcome;
    return outcome;
  }
}

export function stepOf({ needs = [], takes = [], resources = {}, ...rest }: StepSketch): StepSpec {
  return {
    ...PLAIN_STEP,
    ...rest,
    needs: [...needs.map((step) => ({ step, outputs: false })), ...takes.map((step) => ({ step, outputs: true }))],
    resources: { ...PLAIN_STEP.resources, ...resources },
  };
}

export function actionOf(name: string, more: Partial<ResolvedAction>): ResolvedAction {
  return { action: digestFor(name), inputRoot: EMPTY_DIGEST, inputBytes: 0, parts: [], ...more };
}

export function digestFor(text: string): Digest {
  return digestOf(new TextEncoder().encode(text));
}

/** A build's id from a short name such as `b1`. */
export function buildId(name: string): BuildId {
  return present(parseBuildId(`b-${name.padStart(26, '0')}`), `"${name}" makes a build id`);
}

/** A step's id from `b1/compile`. */
export function stepId(name: string): StepId {
  const slash = name.indexOf('/');
  return stepIdOf(buildId(name.slice(0, slash)), name.slice(slash + 1));
}

export function agentId(name: string): AgentId {
  return present(parseAgentId(name), `"${name}" is an agent id`);
}

export function sessionOf(agent: string, epoch: number): SessionId {
  return sessionIdOf(agentId(agent), epoch);
}

/** Text with build ids as the short names that they were made of. */
export function short(text: string): string {
  return text.replaceAll(/b-0*([0-9a-z]+)/g, '$1');
}

export const RESULT: StepResult = { exitCode: 0, outputs: [], log: undefined, usage: NO_USAGE, agent: 'a1', startedAt: 0, endedAt: 0 };
export const SUCCESS: AttemptReport = { kind: 'succeeded', result: RESULT };

export function failure(cls: Extract<AttemptReport, { kind: 'failed' }>['class'], message = 'it broke'): AttemptReport {
  return { kind: 'failed', class: cls, message, result: undefined };
}

/** What was sent to agents, by kind. */
export function told(outcome: Outcome): readonly string[] {
  return outcome.sends.map((send: Outbound) => (send.kind === 'tell-agent' ? `${send.session} ${send.message.kind}` : send.kind));
}
