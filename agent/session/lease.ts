import type { AttemptReport } from '../../cache/action/result.ts';
import type { AgentMessage, HeldLease, Offer } from './message.ts';
import { weightOf } from './weight.ts';

/** How far an attempt has come on this agent. */
export type Phase =
  /** Inputs and sandbox are being made ready. */
  | { readonly kind: 'preparing' }
  /** Ready; a side-effecting attempt waits here until its lease was renewed once. */
  | { readonly kind: 'prepared' }
  /** Ordered to run, or running. */
  | { readonly kind: 'running'; readonly started: boolean }
  /** The command has ended; outputs are being stored. */
  | { readonly kind: 'storing' }
  /** Over; the report is kept until the coordinator has answered it. `flushBy`: do not hold it back for the log longer. */
  | { readonly kind: 'ended'; readonly report: AttemptReport; readonly flushBy: number | undefined; readonly sentAt: number | undefined }
  /** The lease is not ours any more; its slot is taken until nothing of it is left on the host. */
  | { readonly kind: 'dying' };

/** How much of an attempt's log is where: `acked <= sent <= size`, in bytes. `movedAt` is when `acked` last changed. */
export type LogProgress = { readonly size: number; readonly sent: number; readonly acked: number; readonly movedAt: number };

/** A lease as the session keeps it. */
export type Lease = {
  readonly token: string;
  readonly slots: number;
  readonly sideEffects: boolean;
  readonly graceMs: number;
  /** As granted or last renewed. */
  ttlMs: number;
  /** Monotonic time at which the lease runs out unless it is renewed, by the agent's own reckoning. */
  expiresAt: number;
  /** Whether it was renewed since it was granted. */
  confirmed: boolean;
  /** Whether the attempt was told to stop. */
  stopping: boolean;
  phase: Phase;
  log: LogProgress;
};

/** Largest piece of a log in one message. */
export const LOG_CHUNK_BYTES = 64 * 1024;

const NO_LOG: LogProgress = { size: 0, sent: 0, acked: 0, movedAt: 0 };

export function leaseOf(offer: Offer, now: number): Lease {
  return {
    token: offer.token,
    slots: Math.max(1, offer.resources.slots),
    sideEffects: offer.sideEffects,
    graceMs: offer.graceMs,
    ttlMs: offer.leaseTtlMs,
    expiresAt: now + offer.leaseTtlMs,
    confirmed: false,
    stopping: false,
    phase: { kind: 'preparing' },
    log: NO_LOG,
  };
}

/** The lease of a result that an earlier life of the agent left behind. */
export function keptLease(token: string, report: AttemptReport, logBytes: number): Lease {
  return {
    token,
    slots: 0,
    sideEffects: false,
    graceMs: 0,
    ttlMs: 0,
    expiresAt: Number.POSITIVE_INFINITY,
    confirmed: false,
    stopping: false,
    phase: { kind: 'ended', report, flushBy: undefined, sentAt: undefined },
    log: { ...NO_LOG, size: logBytes },
  };
}

/** Whether something of the attempt is on the host. */
export function isActive(lease: Lease): boolean {
  return lease.phase.kind !== 'ended';
}

/** Whether the coordinator is told of the lease. */
export function isHeld(lease: Lease): boolean {
  return lease.phase.kind !== 'dying';
}

/** Whether the command may be doing things to the world outside, now or soon. */
export function isRunning(lease: Lease): boolean {
  return lease.phase.kind === 'running';
}

/**
 * The lease was renewed at monotonic time `at`; when its attempt must be dead now, where it runs and has side effects. That is
 * when the hard signal comes after a polite one that was sent at `stopAtOf`: whoever stands still is not slower than that.
 */
export function renewLease(lease: Lease, at: number, ttlMs: number): number | undefined {
  lease.ttlMs = ttlMs;
  lease.expiresAt = Math.max(lease.expiresAt, at + ttlMs);
  return isRunning(lease) ? deadlineOf(lease) : undefined;
}

/** When a side-effecting attempt is told to stop unless its lease is renewed: after two heartbeats without an answer. */
export function stopAtOf(lease: Lease): number {
  return lease.expiresAt - lease.ttlMs / 5;
}

/** When nothing of a side-effecting attempt may run any more; undefined for a pure one, which goes on. */
export function deadlineOf(lease: Lease): number | undefined {
  return lease.sideEffects ? lease.expiresAt - lease.ttlMs / 10 : undefined;
}

/** Reports of one `register`: a quarter of what a coordinator takes as one message. */
const REGISTER_REPORT_BYTES = 4 * 1024 * 1024;

/**
 * What `register` says of all leases: every token, and as many reports as one message holds. The other results, and those whose
 * log must go ahead, are said to be under way, and follow as messages of their own.
 */
export function heldLeases(leases: readonly Lease[]): readonly HeldLease[] {
  let room = REGISTER_REPORT_BYTES;
  return leases.filter(isHeld).map((lease) => {
    if (lease.phase.kind !== 'ended') return heldOf(lease);
    const weight = weightOf(lease.phase.report);
    if (weight > room || owesLog(lease, lease.phase.report)) return { token: lease.token, phase: { kind: 'started' } };
    room -= weight;
    return heldOf(lease);
  });
}

/** Whether the log is nowhere else: the store did not take it, nor has the coordinator all of it. It must go ahead of the report. */
function owesLog({ log }: Lease, { result }: AttemptReport): boolean {
  return result !== undefined && result.log === undefined && log.acked < log.size;
}

function heldOf(lease: Lease): HeldLease {
  const { token, phase } = lease;
  if (phase.kind === 'ended') return { token, phase: { kind: 'finished', report: phase.report } };
  const started = phase.kind === 'storing' || (phase.kind === 'running' && phase.started);
  return { token, phase: { kind: started ? 'started' : 'accepted' } };
}

/** The pieces of the log that the window lets go now; counts them as sent. */
export function pumpLog(lease: Lease, windowBytes: number, now: number): readonly AgentMessage[] {
  const sends: AgentMessage[] = [];
  for (;;) {
    const { size, sent, acked, movedAt } = lease.log;
    const length = Math.min(LOG_CHUNK_BYTES, size - sent, acked + windowBytes - sent);
    if (length <= 0) return sends;
    sends.push({ kind: 'log', token: lease.token, offset: sent, length });
    lease.log = { size, acked, sent: sent + length, movedAt: sent === acked ? now : movedAt };
  }
}

/**
 * Takes an acknowledgement: the coordinator can serve the log below `offset`. One that goes back means that it lost what
 * it had acknowledged; one that repeats the last after `patienceMs` without progress, that it lacks what was sent since:
 * in both cases sending starts there again. One beyond the log's end can only be another log's.
 */
export function ackLog(lease: Lease, offset: number, patienceMs: number, now: number): void {
  const { size, sent, acked, movedAt } = lease.log;
  if (offset < 0 || offset > size) return;
  if (offset > acked) lease.log = { size, sent: Math.max(sent, offset), acked: offset, movedAt: now };
  else if (offset < acked || now - movedAt >= patienceMs) lease.log = { size, sent: offset, acked: offset, movedAt: now };
}

/** Sends again from the last acknowledged byte. */
export function rewindLog(lease: Lease): void {
  lease.log = { ...lease.log, sent: lease.log.acked };
}
