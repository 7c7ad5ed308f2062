import fc from 'fast-check';
import { expect, test } from 'vitest';
import { assert, unreachable } from '../../base/assert.ts';
import { prngFrom } from '../../base/prng.ts';
import type { AttemptReport } from '../../cache/action/result.ts';
import { offer, PROFILE, SUCCEEDED, TERMS } from '../../test/fixtures/session-rig.ts';
import { SessionCore } from './core.ts';
import type { SessionEvent } from './event.ts';
import type { CoordinatorMessage, LeaseVerdict } from './message.ts';

const TOKENS = ['t.1', 't.2', 't.3', 't.4'] as const;
/** Of the tokens, those of side-effecting steps. */
const EFFECTS: ReadonlySet<string> = new Set(['t.2', 't.4']);
const FAILED: AttemptReport = { kind: 'failed', class: 'exit', message: '', result: undefined };

type Move =
  | { readonly kind: 'pass'; readonly ms: number }
  | { readonly kind: 'connect' | 'online' | 'break' | 'drain' | 'stop' | 'cordon' | 'uncordon' }
  /** `advance` is the next thing that happens to an attempt that goes well. */
  | { readonly kind: 'offer' | 'advance' | 'finished' | 'cancel' | 'withdraw' | 'reply' | 'grow'; readonly token: string }
  | { readonly kind: 'answer'; readonly verdicts: readonly LeaseVerdict[] };

const token = fc.constantFrom(...TOKENS);
const verdict = fc.constantFrom('continue', 'continue', 'continue', 'continue', 'continue', 'cancel', 'lost');
const move: fc.Arbitrary<Move> = fc.oneof(
  { weight: 30, arbitrary: fc.record({ kind: fc.constantFrom('offer', 'advance', 'advance', 'reply', 'grow'), token }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constantFrom('finished', 'cancel', 'withdraw'), token }) },
  {
    weight: 20,
    arbitrary: fc.record({ kind: fc.constant('answer' as const), verdicts: fc.array(verdict, { minLength: 4, maxLength: 4 }) }),
  },
  { weight: 20, arbitrary: fc.record({ kind: fc.constant('pass' as const), ms: fc.integer({ min: 0, max: 4_000 }) }) },
  { weight: 10, arbitrary: fc.record({ kind: fc.constantFrom('connect', 'online', 'online', 'break') }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constantFrom('cordon', 'uncordon') }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('drain', 'stop') }) },
);
const moves = fc.array(move, { minLength: 20, maxLength: 150 }).map((list): readonly Move[] => [{ kind: 'online' }, ...list]);

/** Whatever the coordinator, the network and the attempts do, in any order, the session keeps its promises. */
class Watched {
  readonly core = new SessionCore(PROFILE, prngFrom(3), []);
  now = 0;
  stream = 0;
  asked = false;
  registered = false;
  ended = false;
  wakeAt: number | undefined;
  /** What each token went through, by the commands. */
  readonly prepared = new Set<string>();
  readonly ran = new Set<string>();
  readonly started = new Set<string>();
  readonly exited = new Set<string>();
  readonly kept = new Set<string>();
  readonly renewed = new Set<string>();
  readonly finished = new Set<string>();
  readonly cancelled = new Set<string>();
  readonly expiresAt = new Map<string, number>();
  readonly deadlines = new Map<string, number>();
  readonly heartbeats: { readonly at: number; readonly tokens: readonly string[] }[] = [];

  apply(event: SessionEvent): void {
    const outcome = this.core.apply(event, this.now);
    this.wakeAt = outcome.wakeAt;
    assert(!this.ended || outcome.commands.length + outcome.sends.length === 0, 'nothing happens after the end');
    for (const command of outcome.commands) {
      if (command.kind === 'dial') {
        this.stream = command.stream;
        this.#offline();
      } else if (command.kind === 'hang-up') this.#offline();
      else if (command.kind === 'prepare') {
        assert(!this.prepared.has(command.offer.token), 'prepared once');
        this.prepared.add(command.offer.token);
        this.expiresAt.set(command.offer.token, this.now + command.offer.leaseTtlMs);
      } else if (command.kind === 'run') {
        assert(!this.ran.has(command.token), 'run once');
        assert(!this.cancelled.has(command.token), 'not run after a cancel');
        assert(this.#lives(command.token), 'not run after its end');
        if (EFFECTS.has(command.token)) assert(this.renewed.has(command.token), 'side effects only under a renewed lease');
        this.ran.add(command.token);
        this.#limit(command.token, command.deadline);
      } else if (command.kind === 'extend') {
        assert(this.ran.has(command.token) && EFFECTS.has(command.token), 'only what runs with side effects has a deadline');
        assert(command.deadline >= (this.deadlines.get(command.token) ?? 0), 'a renewal takes no time away');
        this.#limit(command.token, command.deadline);
      } else if (command.kind === 'cancel') {
        const inTime =
          !this.ran.has(command.token) ||
          command.message !== 'The lease could not be renewed' ||
          this.now + command.graceMs < (this.expiresAt.get(command.token) ?? 0);
        assert(inTime, 'dead before the lease ends');
        this.cancelled.add(command.token);
      } else if (command.kind === 'keep') this.kept.add(command.token);
    }
    for (const message of outcome.sends) {
      if (message.kind === 'finished') assert(this.kept.has(message.token), 'journalled before it is sent');
      if (message.kind === 'heartbeat') this.heartbeats.push({ at: this.now, tokens: message.tokens });
      if (message.kind === 'register') {
        assert(!this.asked, 'registers once on a stream');
        this.asked = true;
      } else assert(this.registered, `${message.kind} needs a registered stream`);
    }
    this.ended ||= outcome.ended !== undefined;
    for (const running of this.ran) {
      if (!EFFECTS.has(running) || this.finished.has(running) || this.cancelled.has(running)) continue;
      assert(this.now < (this.expiresAt.get(running) ?? 0), 'side effects end before the lease does');
    }
  }

  /** The deadline that others keep lies after the time of the polite signal, and before the end of the lease. */
  #limit(of: string, deadline: number | undefined): void {
    assert((deadline !== undefined) === EFFECTS.has(of), 'exactly what has side effects has a deadline');
    if (deadline === undefined) return;
    this.deadlines.set(of, deadline);
    const expiresAt = this.expiresAt.get(of) ?? 0;
    assert(deadline < expiresAt && deadline > expiresAt - TERMS.leaseTtlMs / 5, 'killed after the polite signal, before the end');
  }

  #offline(): void {
    this.asked = false;
    this.registered = false;
  }

  hear(message: CoordinatorMessage): void {
    this.apply({ kind: 'message-received', stream: this.stream, message });
  }

  pass(ms: number): void {
    const until = this.now + ms;
    for (let woken = 0; this.wakeAt !== undefined && this.wakeAt <= until && !this.ended; woken += 1) {
      assert(woken < 1_000, 'it does not wake for ever');
      this.now = Math.max(this.now, this.wakeAt);
      this.apply({ kind: 'woke' });
    }
    this.now = until;
  }

  make(step: Move): void {
    switch (step.kind) {
      case 'pass':
        return this.pass(step.ms);
      case 'connect':
        return this.apply({ kind: 'connected', stream: this.stream });
      case 'online':
        this.apply({ kind: 'connected', stream: this.stream });
        if (this.registered || !this.asked) return;
        this.heartbeats.length = 0;
        this.registered = true;
        return this.hear(TERMS);
      case 'break':
        this.#offline();
        return this.apply({ kind: 'stream-broke', stream: this.stream, code: 'PEER_UNAVAILABLE', message: '' });
      case 'offer':
        return this.finished.has(step.token) ? undefined : this.hear(offer(step.token, { sideEffects: EFFECTS.has(step.token) }));
      case 'answer':
        return this.#answer(step.verdicts);
      case 'cancel':
        return this.hear({ kind: 'cancel', token: step.token, reason: '', graceMs: 1_000 });
      case 'withdraw':
        return this.hear({ kind: 'offer-withdrawn', token: step.token });
      case 'reply':
        return this.finished.has(step.token) ? this.hear({ kind: 'result-reply', token: step.token, verdict: 'accepted' }) : undefined;
      case 'drain':
        return this.apply({ kind: 'drain-requested', reason: '' });
      case 'stop':
        return this.apply({ kind: 'stop-requested', reason: '' });
      case 'cordon':
        return this.apply({ kind: 'cordon-changed', reason: 'full' });
      case 'uncordon':
        return this.apply({ kind: 'cordon-changed', reason: undefined });
      case 'grow':
        return this.#lives(step.token) ? this.apply({ kind: 'log-grew', token: step.token, size: 100_000 }) : undefined;
      case 'finished':
        return this.#lives(step.token) ? this.#finish(step.token) : undefined;
      case 'advance':
        return this.#advance(step.token);
      default:
        return unreachable(step);
    }
  }

  /** The answer to the oldest heartbeat: a verdict on each lease that it told. */
  #answer(verdicts: readonly LeaseVerdict[]): void {
    const heartbeat = this.heartbeats.shift();
    if (heartbeat === undefined || !this.registered) return;
    const leases = heartbeat.tokens.map((told, index) => ({ token: told, verdict: verdicts[index] ?? 'continue' }));
    for (const lease of leases) {
      if (lease.verdict === 'lost') continue;
      if (lease.verdict === 'continue') this.renewed.add(lease.token);
      if (!this.exited.has(lease.token)) this.expiresAt.set(lease.token, heartbeat.at + TERMS.leaseTtlMs);
    }
    this.hear({ kind: 'heartbeat-reply', leases });
  }

  #lives(of: string): boolean {
    return this.prepared.has(of) && !this.finished.has(of);
  }

  #advance(of: string): void {
    if (!this.#lives(of)) return;
    if (!this.ran.has(of)) return this.apply({ kind: 'attempt-prepared', token: of });
    if (!this.started.has(of)) {
      this.started.add(of);
      return this.apply({ kind: 'attempt-running', token: of });
    }
    if (this.exited.has(of)) return this.#finish(of);
    this.exited.add(of);
    this.expiresAt.set(of, Number.POSITIVE_INFINITY);
    this.apply({ kind: 'attempt-exited', token: of });
  }

  #finish(of: string): void {
    this.finished.add(of);
    this.apply({ kind: 'attempt-finished', token: of, report: this.cancelled.has(of) ? FAILED : SUCCEEDED });
  }
}

test('in any order of events the session keeps its promises', () => {
  fc.assert(
    fc.property(moves, (list) => {
      const session = new Watched();
      session.apply({ kind: 'woke' });
      for (const step of list) session.make(step);
    }),
    { numRuns: 400 },
  );
});

test('a session that is told to stop always ends in time', () => {
  fc.assert(
    fc.property(moves, (list) => {
      const session = new Watched();
      session.apply({ kind: 'woke' });
      for (const step of list) session.make(step);
      session.make({ kind: 'stop' });
      session.pass(10_000);
      expect(session.ended).toBe(true);
    }),
    { numRuns: 200 },
  );
});
