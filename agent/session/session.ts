import { unreachable } from '../../base/assert.ts';
import type { Env } from '../../base/env.ts';
import type { FaultCode } from '../../base/fault.ts';
import type { Prng } from '../../base/prng.ts';
import type { AttemptJournal, JournalEvent } from '../attempt-journal.ts';
import type { Spool } from '../spool/spool.ts';
import { SessionCore } from './core.ts';
import type { AgentProfile, SessionCommand, SessionEvent, SessionOutcome } from './event.ts';
import type { Attempt, AttemptTerms, Executor } from './executor.ts';
import type { CoordinatorMessage, Offer } from './message.ts';
import type { Dialler, SessionStream } from './stream.ts';

export type SessionEnd = { readonly ok: boolean; readonly reason: string };

/** The live session of an agent: `SessionCore` with a clock, a timer, streams, a spool and an executor. */
export interface Session extends AsyncDisposable {
  /** Resolves when a coordinator has taken the agent for the first time; never rejects. */
  readonly registered: Promise<void>;
  /** Resolves when the session is over and its last message is out. */
  readonly ended: Promise<SessionEnd>;
  /** Whether it takes new work, or would if it had room: not while it drains or ends. */
  readonly serving: boolean;
  /** Finishes what runs, hands back the rest, then ends. */
  drain(reason: string): void;
  /** Stops what runs, then ends. */
  stop(reason: string): void;
  /** Takes no new work while there is a reason. */
  cordon(reason: string | undefined): void;
}

export type SessionOptions = {
  readonly profile: AgentProfile;
  readonly prng: Prng;
  readonly dialler: Dialler;
  readonly spool: Pick<Spool, 'results' | 'keepLease' | 'keepResult' | 'forget'>;
  readonly executor: Executor;
  /** Told where the data plane is, before the first attempt and whenever another coordinator has taken the agent. @default nobody */
  readonly onDataPlane?: (address: string) => void;
  /** Told what becomes of every attempt. @default nobody */
  readonly journal?: Pick<AttemptJournal, 'note'>;
  readonly env: Env;
};

/** Begins to dial at once. Disposing it stops what is left without a word to the coordinator. */
export function startSession(options: SessionOptions): Session {
  const live = new LiveSession(options);
  live.post({ kind: 'woke' });
  return live;
}

class LiveSession implements Session {
  readonly #options: SessionOptions;
  readonly #core: SessionCore;
  readonly #env: Env;
  readonly #attempts = new Map<string, Attempt>();
  readonly #registered = Promise.withResolvers<void>();
  readonly #ended = Promise.withResolvers<SessionEnd>();
  readonly #inbox: SessionEvent[] = [];
  #busy = false;
  #over = false;
  #stream: SessionStream | undefined;
  #address = '';
  #terms: AttemptTerms | undefined;
  #wakeAt: number | undefined;
  #timer: { readonly at: number; readonly handle: NodeJS.Timeout } | undefined;
  #refused = false;
  #lastBreak: FaultCode | undefined;

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#env = { ...options.env, log: options.env.log.with({ agent: options.profile.agentId }) };
    this.#core = new SessionCore(options.profile, options.prng, options.spool.results, options.dialler.addresses);
  }

  get registered(): Promise<void> {
    return this.#registered.promise;
  }

  get ended(): Promise<SessionEnd> {
    return this.#ended.promise;
  }

  get serving(): boolean {
    return this.#core.serving;
  }

  drain(reason: string): void {
    this.post({ kind: 'drain-requested', reason });
  }

  stop(reason: string): void {
    this.post({ kind: 'stop-requested', reason });
  }

  cordon(reason: string | undefined): void {
    this.post({ kind: 'cordon-changed', reason });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#finish({ ok: true, reason: 'disposed' });
    this.#stream?.close();
    for (const attempt of this.#attempts.values()) attempt.cancel({ class: 'agent-stop', message: 'The agent ends', graceMs: 0 });
    await this.#ended.promise;
  }

  /** Takes one event; those that its own commands cause come after it. */
  post(event: SessionEvent): void {
    this.#inbox.push(event);
    if (this.#busy) return;
    this.#busy = true;
    try {
      for (let next = this.#inbox.shift(); next !== undefined; next = this.#inbox.shift()) this.#step(next);
    } finally {
      this.#busy = false;
    }
  }

  #step(event: SessionEvent): void {
    if (this.#over) return this.#afterEnd(event);
    this.#observe(event);
    this.#carryOut(this.#core.apply(event, this.#env.clock.monotonic()));
  }

  /** Attempts that end after the session did are only tidied away. */
  #afterEnd(event: SessionEvent): void {
    if (event.kind === 'attempt-finished') this.#attempts.delete(event.token);
  }

  #carryOut(outcome: SessionOutcome): void {
    for (const command of outcome.commands) this.#run(command);
    if (outcome.sends.length > 0) this.#stream?.send(outcome.sends);
    this.#wakeAt = outcome.wakeAt;
    if (outcome.ended !== undefined) this.#finish(outcome.ended);
    else this.#arm();
  }

  /** Sees to it that the timer rings at `#wakeAt` or before: one that rings too early arms itself again. Few events need a new one. */
  #arm(): void {
    const at = this.#wakeAt;
    if (at === undefined || (this.#timer !== undefined && this.#timer.at <= at)) return;
    clearTimeout(this.#timer?.handle);
    const delayMs = Math.max(0, Math.ceil(at - this.#env.clock.monotonic()));
    this.#timer = { at, handle: setTimeout(() => this.#ring(), delayMs) };
  }

  #ring(): void {
    this.#timer = undefined;
    if (this.#wakeAt !== undefined && this.#env.clock.monotonic() >= this.#wakeAt) this.post({ kind: 'woke' });
    else this.#arm();
  }

  #finish(end: SessionEnd): void {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#timer?.handle);
    this.#env.log.info('session-ended', end);
    const flushed = this.#stream?.finish() ?? Promise.resolve();
    flushed.then(
      () => this.#ended.resolve(end),
      () => this.#ended.resolve(end),
    );
  }

  #note(event: JournalEvent): void {
    this.#options.journal?.note(event);
  }

  #observe(event: SessionEvent): void {
    const { log } = this.#env;
    if (event.kind === 'attempt-running') this.#note({ event: 'started', token: event.token });
    if (event.kind === 'attempt-exited') this.#note({ event: 'exited', token: event.token });
    if (event.kind === 'stream-broke') this.#noteBreak(event.code, event.message);
    if (event.kind === 'cordon-changed')
      log.warn(event.reason === undefined ? 'agent-uncordoned' : 'agent-cordoned', { reason: event.reason });
    if (event.kind === 'attempt-finished') {
      this.#attempts.delete(event.token);
      const as = event.report.kind === 'failed' ? event.report.class : 'succeeded';
      log.info('attempt-finished', { token: event.token, as });
      this.#note({ event: 'finished', token: event.token, as, log: event.report.result?.log?.digest });
    }
    if (event.kind !== 'message-received') return;
    const { message } = event;
    if (message.kind === 'result-reply') this.#note({ event: 'answered', token: message.token, verdict: message.verdict });
    if (message.kind === 'refused') this.#noteRefusal(message);
    if (message.kind !== 'registered') return;
    log.info('session-registered', {
      coordinator: this.#address,
      epoch: message.epoch,
      heartbeatMs: message.heartbeatMs,
      leaseTtlMs: message.leaseTtlMs,
    });
    this.#note({ event: 'registered', coordinator: this.#address, epoch: message.epoch });
    this.#options.onDataPlane?.(message.dataAddress);
    this.#terms = { logBytesMax: message.logBytesMax };
    this.#lastBreak = undefined;
    this.#registered.resolve();
  }

  /** A coordinator that stays away is said once, not with every dial. */
  #noteBreak(code: FaultCode, reason: string): void {
    const again = this.#lastBreak === code;
    this.#lastBreak = code;
    const fields = { coordinator: this.#address, code, reason };
    if (again) this.#env.log.debug('session-broke', fields);
    else this.#env.log.warn('session-broke', fields);
  }

  /** To be sent to the leader is in order, and to be told to come back later passes; any other refusal somebody must put right. */
  #noteRefusal({ retry, reason, leaderAddress }: Extract<CoordinatorMessage, { kind: 'refused' }>): void {
    this.#refused = true;
    const fields = { coordinator: this.#address, reason, retry, leaderAddress };
    if (leaderAddress !== undefined) this.#env.log.info('agent-redirected', fields);
    else if (retry) this.#env.log.warn('agent-not-taken-yet', fields);
    else this.#env.log.error('agent-refused', fields);
  }

  #run(command: SessionCommand): void {
    const { spool, dialler } = this.#options;
    switch (command.kind) {
      case 'dial': {
        const { stream, address } = command;
        this.#stream?.close();
        this.#address = address;
        this.#refused = false;
        this.#stream = dialler.open(address, {
          message: (message) => this.post({ kind: 'message-received', stream, message }),
          broken: (code, message) => this.post({ kind: 'stream-broke', stream, code, message }),
        });
        return this.post({ kind: 'connected', stream });
      }
      case 'hang-up':
        // After a refusal, which was noted, that is in order.
        if (this.#refused) this.#env.log.debug('session-hung-up', { stream: command.stream });
        else this.#env.log.warn('session-hung-up', { stream: command.stream });
        this.#stream?.close();
        this.#stream = undefined;
        return;
      case 'prepare':
        return this.#prepare(command.offer);
      case 'run':
        return this.#attempts.get(command.token)?.run(command.deadline);
      case 'extend':
        return this.#attempts.get(command.token)?.extend(command.deadline);
      case 'cancel':
        this.#note({ event: 'stopped', token: command.token, because: command.message });
        return this.#attempts.get(command.token)?.cancel(command);
      case 'keep':
        this.#spooled(() => spool.keepResult(command.token, command.report), command.token);
        return this.#note({ event: 'kept', token: command.token });
      case 'forget':
        spool.forget(command.token);
        return this.#note({ event: 'forgotten', token: command.token });
      default:
        return unreachable(command);
    }
  }

  #prepare(offer: Offer): void {
    const { token, build, step, attempt } = offer;
    const terms = this.#terms;
    if (terms === undefined) return; // offers come on a registered stream only
    this.#env.log.info('attempt-accepted', { token, build, step, attempt });
    this.#note({ event: 'accepted', token, build, step, attempt, sideEffects: offer.sideEffects });
    const started = this.#options.executor.begin(offer, terms, {
      prepared: () => this.post({ kind: 'attempt-prepared', token }),
      running: () => this.post({ kind: 'attempt-running', token }),
      exited: () => this.post({ kind: 'attempt-exited', token }),
      logged: (size) => this.post({ kind: 'log-grew', token, size }),
      finished: (report) => this.post({ kind: 'attempt-finished', token, report }),
    });
    this.#attempts.set(token, started);
    // The attempt does not wait for the disk; the answer to the offer, which leaves in a later turn, does.
    queueMicrotask(() => {
      if (this.#attempts.has(token)) this.#spooled(() => this.#options.spool.keepLease({ token, build, step, attempt }), token);
    });
  }

  /** A disk that takes no journal entry costs crash safety, not the attempt: the result still goes out over the stream. */
  #spooled(write: () => void, token: string): void {
    try {
      write();
    } catch (error) {
      this.#env.log.error('spool-not-written', { token, error });
    }
  }
}
