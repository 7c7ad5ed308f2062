import type { Resources } from '../../base/resources.ts';
import type { SandboxTrait } from '../../base/sandbox-trait.ts';
import type { Deadline } from '../spawn/deadline.ts';

/**
 * A directory of the host that a step sees at a place of its own, without a copy. `from` is never changed: what the step writes
 * or removes there lands in the input root on the host, as the upper side of an overlay (see `cache/layer/overlay.ts`).
 */
export type Bind = {
  /** Absolute path on the host that ends with `/` and `to`; must not change while the step runs. */
  readonly from: string;
  /** Where it appears, relative to the input root; an empty directory, or nothing, is there. */
  readonly to: string;
};

/** Answers for what a step saw through binds, once nothing of it runs any more. */
export interface Overlays {
  /** Whether something is at each of the paths, relative to `root`, as the step left it. @throws {Fault} SANDBOX_UNAVAILABLE */
  present(root: string, binds: readonly Bind[], paths: readonly string[], signal: AbortSignal): Promise<readonly boolean[]>;
}

/** One command to run. Every path is absolute on the host, unless said otherwise. */
export type SandboxRun = {
  /** Program and arguments. A program without a slash is looked up on the step's own PATH. */
  readonly command: readonly string[];
  /** The step's variables; nothing of the agent's own environment is passed on. See `defaultEnv` for what is added. */
  readonly env: Readonly<Record<string, string>>;
  /** The materialised input root, which the step may change at will. */
  readonly root: string;
  /** Relative to `root`; empty for the root itself. */
  readonly workingDirectory: string;
  /** Whether the step may reach the network. */
  readonly network: boolean;
  /** `memoryBytes` above 0 becomes a hard limit where the sandbox has the trait `limitsMemory`. */
  readonly resources: Resources;
  /** A file of this process, open for appending: gets standard output and error, as they come. Standard input is empty. */
  readonly logFd: number;
  /** As `logFd`, for standard error alone. @default it goes where standard output goes */
  readonly errorFd?: number | undefined;
  /** From the start of the command. Then its tree gets TERM, and KILL after `graceMs` more. */
  readonly runTimeoutMs: number;
  readonly graceMs: number;
  /** Only where the sandbox has `overlays`. */
  readonly binds: readonly Bind[];
  /** When its whole tree is killed by another process, should this one stand still. @default never */
  readonly deadline?: Deadline | undefined;
};

/** What a run took. 0 where the host could not tell. */
export type SandboxUsage = { readonly cpuMs: number; readonly peakMemoryBytes: number };

/**
 * How a run ended; no process of it is left where the sandbox has the trait `isolatesProcesses`. `code` is 128 + n after
 * signal n. `oom` says that the kernel killed something of it for its memory limit, whatever became of the rest. `overdue` is a
 * run that was killed at its deadline.
 */
export type SandboxExit =
  | ({ readonly kind: 'exited'; readonly code: number; readonly signal: string | undefined; readonly oom: boolean } & SandboxUsage)
  | ({ readonly kind: 'timed-out' | 'cancelled' | 'overdue' } & SandboxUsage);

/** As the reason of `Sandbox.run`'s signal: a grace time of its own instead of `SandboxRun.graceMs`. */
export class StopRequest extends Error {
  override readonly name = 'StopRequest';
  readonly graceMs: number;

  constructor(message: string, graceMs: number) {
    super(message);
    this.graceMs = graceMs;
  }
}

/** Runs commands, several at once, apart from the host as far as `traits` say. */
export interface Sandbox extends AsyncDisposable {
  readonly name: 'process' | 'bubblewrap';
  /** What is guaranteed here, found by trying it. */
  readonly traits: readonly SandboxTrait[];
  /** What this host withholds and why, a sentence each, for people. */
  readonly missing: readonly string[];
  /** Where `SandboxRun.binds` can be honoured. */
  readonly overlays: Overlays | undefined;

  /**
   * Runs one command to its end. Aborting `signal` cancels it: TERM to the step, KILL to the whole tree after `graceMs`.
   * @throws {Fault} BAD_REQUEST where the command cannot be expressed (NUL bytes, an argument over the kernel's limit, a
   * working directory that is not there); SANDBOX_UNAVAILABLE where it could not be started or its starter was lost.
   */
  run(spec: SandboxRun, signal: AbortSignal): Promise<SandboxExit>;
}
