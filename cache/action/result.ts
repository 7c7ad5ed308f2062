import type { FailureClass } from '../../base/failure.ts';
import type { Digest } from '../digest.ts';
/** One output of a step; `path` is relative to the step's working directory. */
export type OutputEntry =
  | { readonly kind: 'file'; readonly path: string; readonly digest: Digest; readonly executable: boolean }
  /** `tree` is the REAPI Tree message of the whole directory, `root` its root Directory; both are in the CAS. */
  | { readonly kind: 'directory'; readonly path: string; readonly tree: Digest; readonly root: Digest; readonly bytes: number }
  | { readonly kind: 'symlink'; readonly path: string; readonly target: string };

/** An output that is a directory. */
export type DirectoryOutput = Extract<OutputEntry, { kind: 'directory' }>;

/** How a directory came to its place on an agent: `rung` as `agent/tier/rung.ts` names them, later agents may have others. */
export type Restore = { readonly path: string; readonly rung: string; readonly bytesIn: number };

/** What an attempt did with one of its step's dependency caches; nothing in it is the step's fault. */
export type DependencyReport = {
  readonly name: string;
  /** Of what was placed; absent = nothing was, or the agent does not tell. */
  readonly restores?: readonly Restore[];
  /** Why what there was to place was not placed, for people. */
  readonly placeProblem?: string;
  /** `trees` are the directories that were there after the command, by their paths. */
  readonly save:
    | { readonly kind: 'none' }
    | { readonly kind: 'stored'; readonly trees: readonly DirectoryOutput[] }
    | { readonly kind: 'dropped'; readonly problem: string };
};

/** Where an attempt's time and the host's resources went. Times in milliseconds, sizes in bytes. */
export type Usage = {
  readonly cpuMs: number;
  readonly peakMemoryBytes: number;
  /** Fetched to and sent from the agent, after what it already had. */
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly prepareMs: number;
  readonly runMs: number;
  readonly uploadMs: number;
};

export const NO_USAGE: Usage = { cpuMs: 0, peakMemoryBytes: 0, bytesIn: 0, bytesOut: 0, prepareMs: 0, runMs: 0, uploadMs: 0 };

/** The log of an attempt: one byte sequence, standard output and error as the step wrote them. */
export type SealedLog = { readonly digest: Digest; readonly truncated: boolean };

/** Standard output and error by themselves, each as a blob; `stdout` is absent where nothing was written to it. */
export type StreamDigests = { readonly stdout?: Digest; readonly stderr: Digest };

/** What a successful run left behind, as the action cache keeps it. */
export type StepResult = {
  readonly exitCode: number;
  readonly outputs: readonly OutputEntry[];
  readonly log: SealedLog | undefined;
  /** The parts of the log, where there is one. @default all of it counts as standard output */
  readonly streams?: StreamDigests;
  readonly usage: Usage;
  /** The agent that ran it, and when it started and ended there (milliseconds since the epoch, the agent's clock). */
  readonly agent: string;
  readonly startedAt: number;
  readonly endedAt: number;
};

/** How an attempt ended, as its agent reports it. */
export type AttemptReport =
  | {
      readonly kind: 'succeeded';
      readonly result: StepResult;
      readonly dependencies?: readonly DependencyReport[];
      /** Some of what it left is on the data plane's disk only, for want of the store behind it. */
      readonly staged?: boolean;
    }
  | {
      readonly kind: 'failed';
      readonly class: FailureClass;
      /** For people: what went wrong, without the log. */
      readonly message: string;
      /** Present where the command ran to an end (`exit`, `timeout`, `oom`, `output`). */
      readonly result: StepResult | undefined;
      /** The store behind the data plane did not answer: neither step nor agent is to blame. */
      readonly storeAway?: boolean;
      readonly dependencies?: readonly DependencyReport[];
    };
