import { assert, unreachable } from '../../base/assert.ts';
import { backoffMs } from '../../base/backoff.ts';
import type { FailureClass } from '../../base/failure.ts';
import { FAULTS, type FaultCode } from '../../base/fault.ts';
import type { Prng } from '../../base/prng.ts';
import type { AgentProfile, KeptResult, SessionCommand, SessionEvent, SessionOutcome } from './event.ts';
import { silentAt, type Connection, type Online } from './connection.ts';
import {
  ackLog,
  deadlineOf,
  heldLeases,
  isActive,
  isHeld,
  isRunning,
  keptLease,
  leaseOf,
  pumpLog,
  renewLease,
  rewindLog,
  stopAtOf,
  type Lease,
} from './lease.ts';
import { Route } from './route.ts';
import { PROTOCOL, type AgentMessage, type CoordinatorMessage, type LeaseVerdict, type Offer, type Registered } from './message.ts';

/** Full-jitter waits between rounds of dials: one that comes back is found within seconds, by thousands of agents at once. */
const REDIAL = { initialMs: 200, maxMs: 2_000 };
/** Longest wait for `registered`; covers a coordinator that accepts connections and says nothing. */
const REGISTER_TIMEOUT_MS = 10_000;
/** A session that lasted this long was a good one: the next redial starts with the shortest wait. */
const STABLE_MS = 2_000;
/** From a stop to the end, whatever is left. */
const STOP_TIMEOUT_MS = 10_000;
/** Longest grace that a stop leaves a step. */
const STOP_GRACE_MS = 5_000;
/** Grace of an attempt that lost its lease: it must be gone before its successor does much. */
const LOST_GRACE_MS = 1_000;

type Refused = Extract<CoordinatorMessage, { kind: 'refused' }>;

/** Whether the agent takes work, and until when it may go on without. */
type Mode =
  | { readonly kind: 'serving' }
  | { readonly kind: 'draining'; readonly reason: string; readonly stopAt: number }
  | { readonly kind: 'stopping'; readonly reason: string; readonly endAt: number; readonly ok: boolean };

/**
 * The agent's side of the agent protocol as a value machine: no I/O, no clock, no randomness but the given prng. It owns
 * which leases the agent holds, what the coordinator was told of them, and when they run out here.
 *
 * Invariants: a token has one lease at most; a side-effecting command is ordered to run only after a renewal, and to stop
 * early enough to be dead before its lease expires; a report stays until the coordinator has answered it; nothing is sent
 * unless a stream is registered, save `register`.
 */
export class SessionCore {
  readonly #profile: AgentProfile;
  readonly #prng: Prng;
  readonly #route: Route;
  readonly #leases = new Map<string, Lease>();
  #connection: Connection = { kind: 'waiting', dialAt: 0 };
  #mode: Mode = { kind: 'serving' };
  #cordon: string | undefined;
  /** The coordinator has not heard of the newest change of it. */
  #cordonNews = false;
  #stream = 0;
  #rounds = 0;
  #registeredOnce = false;
  #ended: SessionOutcome['ended'];
  #commands: SessionCommand[] = [];
  #sends: AgentMessage[] = [];

  /** `kept` are the results that the spool brought out of an earlier life; `coordinators` is where they may be, one at least. */
  constructor(profile: AgentProfile, prng: Prng, kept: readonly KeptResult[], coordinators: readonly string[] = ['']) {
    this.#profile = profile;
    this.#prng = prng;
    this.#route = new Route(coordinators, prng);
    for (const { token, report, logBytes } of kept) this.#leases.set(token, keptLease(token, report, logBytes));
  }

  /** Takes one event at monotonic time `now`, which never goes back. */
  apply(event: SessionEvent, now: number): SessionOutcome {
    this.#commands = [];
    this.#sends = [];
    if (this.#ended === undefined) {
      this.#take(event, now);
      this.#tick(now);
    }
    const wakeAt = this.#ended === undefined ? this.#wakeAt() : undefined;
    return { commands: this.#commands, sends: this.#sends, wakeAt, ended: this.#ended };
  }

  #take(event: SessionEvent, now: number): void {
    switch (event.kind) {
      case 'woke':
        return;
      case 'connected':
        if (event.stream === this.#stream && this.#connection.kind === 'dialling') this.#register(now);
        return;
      case 'stream-broke':
        if (event.stream === this.#stream) this.#onBroken(event.code, event.message, now);
        return;
      case 'message-received':
        if (event.stream === this.#stream) this.#onMessage(event.message, now);
        return;
      case 'attempt-prepared':
        return this.#move(event.token, ['preparing'], { kind: 'prepared' });
      case 'attempt-running':
        this.#move(event.token, ['running'], { kind: 'running', started: true });
        if (this.#isPhase(event.token, 'running')) this.#say({ kind: 'running', token: event.token });
        return;
      case 'attempt-exited':
        return this.#move(event.token, ['running'], { kind: 'storing' });
      case 'log-grew': {
        const lease = this.#leases.get(event.token);
        if (lease !== undefined) lease.log = { ...lease.log, size: Math.max(lease.log.size, event.size) };
        return;
      }
      case 'attempt-finished':
        return this.#onFinished(event);
      case 'cordon-changed':
        this.#cordonNews ||= this.#cordon !== event.reason;
        this.#cordon = event.reason;
        return;
      case 'drain-requested':
        return this.#drain(event.reason, now + this.#profile.drainTimeoutMs);
      case 'stop-requested':
        return this.#stop(event.reason, true, now);
      default:
        return unreachable(event);
    }
  }

  /** Whether new work is taken where there is room for it. */
  get serving(): boolean {
    return this.#mode.kind === 'serving';
  }

  #isPhase(token: string, kind: Lease['phase']['kind']): boolean {
    return this.#leases.get(token)?.phase.kind === kind;
  }

  #move(token: string, from: readonly Lease['phase']['kind'][], to: Lease['phase']): void {
    const lease = this.#leases.get(token);
    if (lease !== undefined && from.includes(lease.phase.kind)) lease.phase = to;
  }

  #onFinished(event: Extract<SessionEvent, { kind: 'attempt-finished' }>): void {
    const lease = this.#leases.get(event.token);
    if (lease === undefined || lease.phase.kind === 'ended') return;
    if (lease.phase.kind === 'dying') return this.#forget(lease.token);
    lease.phase = { kind: 'ended', report: event.report, flushBy: undefined, sentAt: undefined };
    this.#commands.push({ kind: 'keep', token: event.token, report: event.report });
  }

  #register(now: number): void {
    const credits = this.#freeSlots();
    this.#connection = { kind: 'registering', since: now, credits };
    const { agentId, bootId, labels, capacity, sandbox, version } = this.#profile;
    this.#sends.push({
      kind: 'register',
      agentId,
      bootId,
      protocolMin: PROTOCOL.min,
      protocolMax: PROTOCOL.max,
      labels,
      capacity,
      sandbox,
      credits,
      held: heldLeases([...this.#leases.values()]),
      version,
      draining: this.#mode.kind !== 'serving',
    });
  }

  #onBroken(code: FaultCode, message: string, now: number): void {
    const hopeless = FAULTS[code].retry === 'never' && code !== 'INTERNAL' && code !== 'CANCELLED';
    if (hopeless && !this.#registeredOnce && this.#route.refused()) {
      const hint = code === 'UNAUTHENTICATED' ? '. Check --token-file, and that the tokens file of each coordinator has its entry' : '';
      return this.#stop(`The coordinator refuses this agent: ${message}${hint}`, false, now);
    }
    this.#redial(now);
  }

  /** Waits, then dials; what was sent on the old stream and not answered is sent again on the next one. */
  #redial(now: number, leader?: string): void {
    const connection = this.#connection;
    const broken = connection.kind === 'online';
    if (broken && now - connection.since >= STABLE_MS) this.#rounds = 0;
    // Who was online waits even for a leader that it is told of: all the others are told the same now.
    if (broken) this.#route.startRound();
    const atOnce = (leader !== undefined && this.#route.redirected(leader)) || (!broken && this.#route.failed());
    const wait = atOnce && !broken ? 0 : backoffMs(REDIAL, this.#rounds, this.#prng);
    if (!atOnce || broken) this.#rounds += 1;
    this.#connection = { kind: 'waiting', dialAt: now + wait };
    for (const lease of this.#leases.values()) {
      rewindLog(lease);
      if (lease.phase.kind === 'ended') lease.phase = { ...lease.phase, flushBy: undefined, sentAt: undefined };
    }
  }

  #hangUp(now: number, leader?: string): void {
    this.#commands.push({ kind: 'hang-up', stream: this.#stream });
    this.#redial(now, leader);
  }

  #onMessage(message: CoordinatorMessage, now: number): void {
    if (message.kind === 'registered') return this.#onRegistered(message, now);
    if (message.kind === 'refused') return this.#onRefused(message, now);
    const online = this.#connection;
    if (online.kind !== 'online') return;
    switch (message.kind) {
      case 'offer':
        return this.#onOffer(message, online, now);
      case 'offer-withdrawn':
        return this.#lose(message.token);
      case 'heartbeat-reply': {
        const renewedAt = online.unanswered.shift();
        online.heardAt = now;
        for (const { token, verdict } of message.leases) this.#onVerdict(token, verdict, renewedAt, online.terms);
        return;
      }
      case 'cancel':
        return this.#cancel(message.token, 'cancelled', message.reason, message.graceMs);
      case 'log-ack': {
        const lease = this.#leases.get(message.token);
        if (lease !== undefined) ackLog(lease, message.offset, online.terms.heartbeatMs, now);
        return;
      }
      case 'result-reply':
        // Whatever the verdict: accepted needs no repeat, and fenced bears none.
        return this.#isPhase(message.token, 'ended') ? this.#forget(message.token) : this.#lose(message.token);
      case 'drain':
        return this.#drain(message.reason, now + this.#profile.drainTimeoutMs);
      default:
        return unreachable(message);
    }
  }

  #onRegistered(terms: Registered, now: number): void {
    if (this.#connection.kind !== 'registering') return;
    if (terms.protocol < PROTOCOL.min || terms.protocol > PROTOCOL.max) {
      const reason = `The coordinator chose protocol ${terms.protocol}; this agent speaks ${PROTOCOL.min} to ${PROTOCOL.max}`;
      return this.#onRefused({ retry: false, reason }, now);
    }
    const { since: sentAt, credits: granted } = this.#connection;
    this.#registeredOnce = true;
    this.#route.registered();
    this.#cordonNews = this.#cordon !== undefined;
    this.#connection = { kind: 'online', since: now, terms, heartbeatAt: now + terms.heartbeatMs, unanswered: [], heardAt: now, granted };
    for (const { token, verdict } of terms.held) this.#onVerdict(token, verdict, sentAt, terms);
    for (const { token, offset } of terms.logs) {
      const lease = this.#leases.get(token);
      if (lease !== undefined) ackLog(lease, offset, 0, now);
    }
  }

  /** Whom the coordinator that leads refuses for good, or all of them, is not wanted. */
  #onRefused(refusal: Pick<Refused, 'retry' | 'reason' | 'leaderAddress'>, now: number): void {
    const final = !refusal.retry && (this.#connection.kind === 'online' || this.#route.refused());
    if (final) return this.#stop(`The coordinator refuses this agent: ${refusal.reason}`, false, now);
    this.#hangUp(now, refusal.leaderAddress);
  }

  #onOffer(offer: Offer, online: Online, now: number): void {
    const known = this.#leases.get(offer.token);
    if (known !== undefined) {
      if (isHeld(known)) this.#say({ kind: 'accept', token: offer.token });
      return;
    }
    const refusal = this.#refusal(offer);
    // A refused offer's credit comes back with the next heartbeat only, lest the two sides play ping-pong.
    if (refusal !== undefined) return this.#say({ kind: 'reject', token: offer.token, reason: refusal });
    online.granted -= 1;
    this.#leases.set(offer.token, leaseOf(offer, now));
    this.#commands.push({ kind: 'prepare', offer });
    this.#say({ kind: 'accept', token: offer.token });
    if (offer.sideEffects) online.heartbeatAt = now; // its renewal is what lets it run
  }

  /** Why the agent does not take the offer; undefined = it does. */
  #refusal(offer: Offer): string | undefined {
    if (this.#mode.kind !== 'serving') return 'The agent takes no new work';
    if (this.#cordon !== undefined) return `The agent takes no new work: ${this.#cordon}`;
    if (Math.max(1, offer.resources.slots) > this.#freeSlots()) return 'No free slot';
    const missing = offer.sandbox.filter((trait) => !this.#profile.sandbox.includes(trait));
    return missing.length > 0 ? `The sandbox here does not offer ${missing.join(', ')}` : undefined;
  }

  #onVerdict(token: string, verdict: LeaseVerdict, renewedAt: number | undefined, terms: Registered): void {
    const lease = this.#leases.get(token);
    if (lease === undefined || !isHeld(lease)) return;
    switch (verdict) {
      case 'continue':
        lease.confirmed ||= renewedAt !== undefined;
        return this.#renew(lease, renewedAt, terms);
      case 'cancel':
        // It is the attempt's for as long as it takes to stop.
        this.#renew(lease, renewedAt, terms);
        return this.#cancel(token, 'cancelled', 'Cancelled', lease.graceMs);
      case 'lost':
        return this.#lose(token);
      default:
        return unreachable(verdict);
    }
  }

  #renew(lease: Lease, at: number | undefined, terms: Registered): void {
    const deadline = at === undefined ? undefined : renewLease(lease, at, terms.leaseTtlMs);
    if (deadline !== undefined) this.#commands.push({ kind: 'extend', token: lease.token, deadline });
  }

  #cancel(token: string, cause: FailureClass, message: string, graceMs: number): void {
    const lease = this.#leases.get(token);
    if (lease === undefined || lease.stopping || !isActive(lease)) return;
    lease.stopping = true;
    this.#commands.push({ kind: 'cancel', token, class: cause, message, graceMs });
  }

  /** The lease is another's: the attempt must go and its result does not count. */
  #lose(token: string): void {
    const lease = this.#leases.get(token);
    if (lease === undefined) return;
    if (lease.phase.kind === 'ended') return this.#forget(token);
    if (lease.phase.kind === 'dying') return;
    lease.phase = { kind: 'dying' };
    lease.stopping = true;
    this.#commands.push({ kind: 'cancel', token, class: 'agent-lost', message: 'The lease was lost', graceMs: LOST_GRACE_MS });
  }

  #forget(token: string): void {
    this.#leases.delete(token);
    this.#commands.push({ kind: 'forget', token });
  }

  /** Finishes what runs, hands back what does not run yet, takes nothing new. */
  #drain(reason: string, stopAt: number): void {
    if (this.#mode.kind !== 'serving') return;
    this.#mode = { kind: 'draining', reason, stopAt };
    this.#say({ kind: 'draining', reason });
    for (const lease of this.#leases.values()) {
      const waiting = lease.phase.kind === 'preparing' || lease.phase.kind === 'prepared';
      if (waiting) this.#cancel(lease.token, 'agent-stop', `Handed back: ${reason}`, 0);
    }
  }

  #stop(reason: string, ok: boolean, now: number): void {
    if (this.#mode.kind === 'stopping') return;
    this.#mode = { kind: 'stopping', reason, endAt: now + STOP_TIMEOUT_MS, ok };
    for (const lease of this.#leases.values()) {
      this.#cancel(lease.token, 'agent-stop', `The agent stops: ${reason}`, Math.min(lease.graceMs, STOP_GRACE_MS));
    }
  }

  #freeSlots(): number {
    if (this.#mode.kind !== 'serving' || this.#cordon !== undefined) return 0;
    let used = 0;
    for (const lease of this.#leases.values()) if (isActive(lease)) used += lease.slots;
    return Math.max(0, this.#profile.capacity.slots - used);
  }

  /** Says it where a registered stream is there to take it; what must not get lost is repeated by `register`. */
  #say(message: AgentMessage): void {
    if (this.#connection.kind === 'online') this.#sends.push(message);
  }

  /** Everything that follows from the time and the state, whatever the event was. */
  #tick(now: number): void {
    if (this.#mode.kind === 'draining' && now >= this.#mode.stopAt) this.#stop('the drain took too long', true, now);
    for (const lease of this.#leases.values()) {
      this.#enforceExpiry(lease, now);
      const ready = lease.phase.kind === 'prepared' && !lease.stopping && (lease.confirmed || !lease.sideEffects);
      if (!ready) continue;
      lease.phase = { kind: 'running', started: false };
      this.#commands.push({ kind: 'run', token: lease.token, deadline: deadlineOf(lease) });
    }
    this.#tickConnection(now);
    this.#tickEnd(now);
  }

  /** Stops a side-effecting attempt early enough for it to be dead when its lease ends. Pure ones go on and offer their result. */
  #enforceExpiry(lease: Lease, now: number): void {
    const stopAt = this.#expiryStopAt(lease);
    if (stopAt === undefined || now < stopAt) return;
    // What never ran may be handed back; what ran is not to be repeated without being asked for.
    const cause = isRunning(lease) ? 'agent-lost' : 'agent-stop';
    this.#cancel(lease.token, cause, 'The lease could not be renewed', Math.max(0, Math.floor((lease.expiresAt - now) / 2)));
  }

  #expiryStopAt(lease: Lease): number | undefined {
    const matters = lease.sideEffects && !lease.stopping && (isRunning(lease) || lease.phase.kind === 'prepared');
    return matters ? stopAtOf(lease) : undefined;
  }

  #tickConnection(now: number): void {
    const connection = this.#connection;
    switch (connection.kind) {
      case 'waiting':
        if (now < connection.dialAt || !this.#mayDial()) return;
        this.#stream += 1;
        this.#connection = { kind: 'dialling', since: now };
        this.#commands.push({ kind: 'dial', stream: this.#stream, address: this.#route.address });
        return;
      case 'dialling':
      case 'registering':
        if (now - connection.since >= REGISTER_TIMEOUT_MS) this.#hangUp(now);
        return;
      case 'online':
        return this.#tickOnline(connection, now);
      default:
        return unreachable(connection);
    }
  }

  /** An agent that was refused for good dials no more; it only ends what it runs. */
  #mayDial(): boolean {
    return this.#mode.kind !== 'stopping' || this.#mode.ok;
  }

  #tickOnline(online: Online, now: number): void {
    const { heartbeatMs, logWindowBytes } = online.terms;
    if (now >= silentAt(online, this.#route.hasOthers)) {
      this.#route.fellSilent();
      return this.#hangUp(now);
    }
    for (const lease of this.#leases.values()) {
      if (isHeld(lease)) this.#sends.push(...pumpLog(lease, logWindowBytes, now));
      if (lease.phase.kind === 'ended') this.#offerReport(lease, lease.phase, heartbeatMs, now);
    }
    const credits = this.#freeSlots();
    if (now < online.heartbeatAt && credits === online.granted && !this.#cordonNews) return;
    this.#cordonNews = false;
    const tokens = [...this.#leases.values()].filter(isHeld).map((lease) => lease.token);
    this.#sends.push({ kind: 'heartbeat', tokens, credits, ...(this.#cordon === undefined ? {} : { cordonReason: this.#cordon }) });
    online.granted = credits;
    online.heartbeatAt = now + heartbeatMs;
    online.unanswered.push(now);
  }

  /** Sends the report once the log is out, or has taken too long, and again while no answer comes. */
  #offerReport(lease: Lease, ended: Extract<Lease['phase'], { kind: 'ended' }>, heartbeatMs: number, now: number): void {
    const flushBy = ended.flushBy ?? now + heartbeatMs;
    const ready = ended.sentAt === undefined ? lease.log.sent === lease.log.size || now >= flushBy : now >= ended.sentAt + 2 * heartbeatMs;
    if (ready) this.#sends.push({ kind: 'finished', token: lease.token, report: ended.report });
    lease.phase = { ...ended, flushBy, sentAt: ready ? now : ended.sentAt };
  }

  #tickEnd(now: number): void {
    const mode = this.#mode;
    switch (mode.kind) {
      case 'serving':
        return;
      case 'draining':
        if (this.#leases.size === 0) this.#end(true, mode.reason);
        return;
      case 'stopping': {
        const active = [...this.#leases.values()].some(isActive);
        const unheard = this.#leases.size > 0 && this.#connection.kind === 'online';
        if (now >= mode.endAt || (!active && !unheard)) this.#end(mode.ok, mode.reason);
        return;
      }
      default:
        return unreachable(mode);
    }
  }

  #end(ok: boolean, reason: string): void {
    assert(this.#ended === undefined, 'a session ends once');
    this.#say({ kind: 'leaving' });
    this.#ended = { ok, reason };
  }

  #wakeAt(): number | undefined {
    const times: (number | undefined)[] = [];
    const connection = this.#connection;
    if (connection.kind === 'waiting') times.push(this.#mayDial() ? connection.dialAt : undefined);
    else if (connection.kind === 'online') times.push(connection.heartbeatAt, silentAt(connection, this.#route.hasOthers));
    else times.push(connection.since + REGISTER_TIMEOUT_MS);
    for (const lease of this.#leases.values()) {
      times.push(this.#expiryStopAt(lease));
      if (lease.phase.kind !== 'ended' || connection.kind !== 'online') continue;
      const { sentAt, flushBy } = lease.phase;
      times.push(sentAt === undefined ? flushBy : sentAt + 2 * connection.terms.heartbeatMs);
    }
    if (this.#mode.kind === 'draining') times.push(this.#mode.stopAt);
    if (this.#mode.kind === 'stopping') times.push(this.#mode.endAt);
    const known = times.filter((time) => time !== undefined).filter((time) => time !== Number.POSITIVE_INFINITY);
    return known.length === 0 ? undefined : Math.min(...known);
  }
}
