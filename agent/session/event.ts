import type { FailureClass } from '../../base/failure.ts';
import type { FaultCode } from '../../base/fault.ts';
import type { Resources } from '../../base/resources.ts';
import type { SandboxTrait } from '../../base/sandbox-trait.ts';
import type { AttemptReport } from '../../cache/action/result.ts';
import type { AgentMessage, CoordinatorMessage, Offer } from './message.ts';

/** What an agent is; does not change while its process lives. */
export type AgentProfile = {
  readonly agentId: string;
  readonly bootId: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly capacity: Resources;
  readonly sandbox: readonly SandboxTrait[];
  readonly version: string;
  /** Longest drain; what runs then is stopped. */
  readonly drainTimeoutMs: number;
};

/** A result out of an earlier life of the agent, whose outputs are stored and whose acknowledgement never came. */
export type KeptResult = { readonly token: string; readonly report: AttemptReport; readonly logBytes: number };

/** Everything that happens to a session, in past tense. Streams are numbered by the `dial` that opened them. */
export type SessionEvent =
  /** The time of the last outcome's `wakeAt` has come; also the first event of all. */
  | { readonly kind: 'woke' }
  | { readonly kind: 'connected'; readonly stream: number }
  | { readonly kind: 'stream-broke'; readonly stream: number; readonly code: FaultCode; readonly message: string }
  | { readonly kind: 'message-received'; readonly stream: number; readonly message: CoordinatorMessage }
  /** The attempt's inputs and sandbox are ready: it waits for `run`. */
  | { readonly kind: 'attempt-prepared'; readonly token: string }
  /** The command runs. */
  | { readonly kind: 'attempt-running'; readonly token: string }
  /** The command has ended; its outputs are being stored. */
  | { readonly kind: 'attempt-exited'; readonly token: string }
  /** The spool holds `size` bytes of the attempt's log. */
  | { readonly kind: 'log-grew'; readonly token: string; readonly size: number }
  /** Nothing of the attempt is left on the host; always the last event of an attempt. */
  | { readonly kind: 'attempt-finished'; readonly token: string; readonly report: AttemptReport }
  /** The host is short of something (`reason`), or has recovered (undefined): no new work while it lasts. */
  | { readonly kind: 'cordon-changed'; readonly reason: string | undefined }
  | { readonly kind: 'drain-requested'; readonly reason: string }
  | { readonly kind: 'stop-requested'; readonly reason: string };

/** What the shell of the session does. Imperative. */
export type SessionCommand =
  /** Open a stream to the coordinator there; answer with `connected` or `stream-broke`. */
  | { readonly kind: 'dial'; readonly stream: number; readonly address: string }
  /** Give the stream up; nothing more of it is heard. */
  | { readonly kind: 'hang-up'; readonly stream: number }
  /** Journal the lease, then make the attempt ready to run. */
  | { readonly kind: 'prepare'; readonly offer: Offer }
  /** Let the command start. `deadline`: monotonic time at which the attempt is killed even if this process stands still; undefined = never. */
  | { readonly kind: 'run'; readonly token: string; readonly deadline: number | undefined }
  /** The lease of a running attempt that has a deadline was renewed: this is the new one. */
  | { readonly kind: 'extend'; readonly token: string; readonly deadline: number }
  /** Stop the attempt, whatever it is doing; it reports `class` and `message`, unless it had already ended otherwise. */
  | { readonly kind: 'cancel'; readonly token: string; readonly class: FailureClass; readonly message: string; readonly graceMs: number }
  /** Journal the result: from now on it survives the process. */
  | { readonly kind: 'keep'; readonly token: string; readonly report: AttemptReport }
  /** Drop what the spool has of the attempt. */
  | { readonly kind: 'forget'; readonly token: string };

/** What the shell must do, in this order: `commands`, `sends` on the newest stream, end if `ended`, else sleep until `wakeAt`. */
export type SessionOutcome = {
  readonly commands: readonly SessionCommand[];
  readonly sends: readonly AgentMessage[];
  /** Monotonic time for `woke`, at the latest. */
  readonly wakeAt: number | undefined;
  /** The session is over: flush `sends`, then leave. `ok` is false where the coordinator will never have this agent. */
  readonly ended: { readonly ok: boolean; readonly reason: string } | undefined;
};
