import type { Resources } from '../../base/resources.ts';
import type { SandboxTrait } from '../../base/sandbox-trait.ts';
import type { TimeMs } from '../../base/clock.ts';
import type { AttemptReport, DirectoryOutput } from '../../cache/action/result.ts';
import type { Digest } from '../../cache/digest.ts';

/**
 * The messages of the agent protocol as plain values, one to one with `agent.proto`; `agent/rpc/convert.ts` translates.
 * Tokens are opaque to the agent: it compares them and nothing else.
 */

/** Versions of the protocol that this agent speaks, both included. */
export const PROTOCOL = { min: 1, max: 2 } as const;

/** How far an attempt has come, as the agent tells it when it registers. */
export type HeldPhase =
  | { readonly kind: 'accepted' }
  | { readonly kind: 'started' }
  | { readonly kind: 'finished'; readonly report: AttemptReport };

/** A lease that the agent still holds, or has an unacknowledged result for. */
export type HeldLease = { readonly token: string; readonly phase: HeldPhase };

export type LeaseVerdict = 'continue' | 'cancel' | 'lost';

export type ResultVerdict = 'accepted' | 'already-accepted' | 'fenced';

/** The right to run one attempt. */
export type Offer = {
  readonly kind: 'offer';
  readonly token: string;
  readonly build: string;
  readonly step: string;
  readonly attempt: number;
  readonly leaseTtlMs: number;
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Names of variables to pass on from the agent's own environment. */
  readonly passEnv: readonly string[];
  readonly workingDirectory: string;
  readonly inputRoot: Digest;
  readonly outputs: readonly string[];
  readonly resources: Resources;
  readonly network: boolean;
  readonly sandbox: readonly SandboxTrait[];
  readonly sideEffects: boolean;
  readonly runTimeoutMs: number;
  readonly graceMs: number;
  /** Where in the data plane its inputs are and its outputs go; also the partition of the agent's local tier that it may share. */
  readonly instanceName: string;
  /** What opens the data plane for the attempt; absent from coordinators of before protocol 2. Secret. */
  readonly grant?: string;
  readonly dependencies: readonly OfferedDependency[];
  /** Whether the result tells standard output and error apart. Then a log has what comes at once in either order. */
  readonly streamsApart: boolean;
};

/** A dependency cache of the step, as far as the agent has to do with it. */
export type OfferedDependency = {
  readonly name: string;
  /** Below the working directory. */
  readonly paths: readonly string[];
  /** What is placed at some of the paths before the command. */
  readonly placed: readonly DirectoryOutput[];
  /** Whether to store what is at the paths after a success; where `exact`, only if it could not be placed. */
  readonly save: boolean;
  readonly exact: boolean;
  /** Globs of what is placed, relative to each path; none = all. Then nothing is stored. */
  readonly only: readonly string[];
  readonly keepModes: boolean;
  readonly keepMtimes: boolean;
};

/** What the coordinator says of a lease; a grant takes the place of the one before. */
export type LeaseWord = { readonly token: string; readonly verdict: LeaseVerdict; readonly grant?: string };

/** What the agent says. */
export type AgentMessage =
  | {
      readonly kind: 'register';
      readonly agentId: string;
      readonly bootId: string;
      readonly protocolMin: number;
      readonly protocolMax: number;
      readonly labels: Readonly<Record<string, string>>;
      readonly capacity: Resources;
      readonly sandbox: readonly SandboxTrait[];
      readonly credits: number;
      readonly held: readonly HeldLease[];
      readonly version: string;
      readonly draining: boolean;
    }
  | { readonly kind: 'heartbeat'; readonly tokens: readonly string[]; readonly credits: number; readonly cordonReason?: string }
  | { readonly kind: 'accept'; readonly token: string }
  | { readonly kind: 'reject'; readonly token: string; readonly reason: string }
  | { readonly kind: 'running'; readonly token: string }
  /** `length` bytes of the attempt's log from `offset`; the bytes themselves are in the spool until the stream takes them. */
  | { readonly kind: 'log'; readonly token: string; readonly offset: number; readonly length: number }
  | { readonly kind: 'finished'; readonly token: string; readonly report: AttemptReport }
  | { readonly kind: 'draining'; readonly reason: string }
  | { readonly kind: 'leaving' };

/** The answer to `register`; all times are the coordinator's to set. */
export type Registered = {
  readonly kind: 'registered';
  readonly protocol: number;
  readonly epoch: number;
  readonly leaseTtlMs: number;
  readonly heartbeatMs: number;
  readonly offerTtlMs: number;
  readonly logBytesMax: number;
  readonly logWindowBytes: number;
  readonly held: readonly LeaseWord[];
  /** From where the coordinator wants the logs of held leases. */
  readonly logs: readonly { readonly token: string; readonly offset: number }[];
  readonly serverTime: TimeMs;
  /** Where the data plane listens. */
  readonly dataAddress: string;
};

/** What the coordinator says. */
export type CoordinatorMessage =
  | Registered
  /** `leaderAddress` is who leads, where another coordinator does and the refusing one knows. */
  | { readonly kind: 'refused'; readonly retry: boolean; readonly reason: string; readonly leaderAddress?: string }
  | Offer
  | { readonly kind: 'offer-withdrawn'; readonly token: string }
  | { readonly kind: 'heartbeat-reply'; readonly leases: readonly LeaseWord[] }
  | { readonly kind: 'cancel'; readonly token: string; readonly reason: string; readonly graceMs: number }
  | { readonly kind: 'log-ack'; readonly token: string; readonly offset: number }
  | { readonly kind: 'result-reply'; readonly token: string; readonly verdict: ResultVerdict }
  | { readonly kind: 'drain'; readonly reason: string };
