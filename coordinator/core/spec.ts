import type { FailureClass } from '../../base/failure.ts';
import type { SandboxTrait } from '../../base/sandbox-trait.ts';
import type { Digest } from '../../cache/digest.ts';
import type { Resources } from '../../base/resources.ts';
import type { Zone } from '../../base/zone.ts';

/** How often each class is retried (attempts after the first), and how long to wait before. */
export type RetryPolicy = {
  readonly limits: Readonly<Record<Exclude<FailureClass, 'cancelled'>, number>>;
  readonly initialMs: number;
  readonly maxMs: number;
};

export const DEFAULT_RETRY: RetryPolicy = {
  limits: { exit: 0, timeout: 0, output: 0, oom: 0, 'agent-lost': 3, 'agent-stop': 10, 'sandbox-error': 3, 'cache-error': 5 },
  initialMs: 1_000,
  maxMs: 60_000,
};

/** When a step runs, by how the steps that it needs ended. */
export type RunIf = 'succeeded' | 'failed' | 'always';

/** What happens to a step that is not critical and could not start in time. */
export type OnLag = { readonly afterMs: number; readonly use: 'skip' | 'default' };

/** Where another step's outputs appear in this step's input tree. The paths are relative to the working tree's root. */
export type Need = {
  /** Name of a step of the same build. */
  readonly step: string;
  /** Whether its outputs become inputs, at the paths where it made them. */
  readonly outputs: boolean;
};

/** Directories that a step takes up as an earlier run left them, and leaves for later ones, under a key. */
export type DependencyCache = {
  /** Unique in the step. Entries are found under the same name and paths only. */
  readonly name: string;
  /** Below the working directory. */
  readonly paths: readonly string[];
  readonly key: string;
  /** What the key was made of, for explaining misses. */
  readonly parts: readonly { readonly name: string; readonly value: string }[];
  /** Beginnings of keys that will do, best first. */
  readonly fallback: readonly string[];
  readonly pulls: boolean;
  readonly pushes: boolean;
  /** Globs of what is taken up, relative to each path; absent = all. Never of one that pushes. */
  readonly only?: readonly string[];
  /** What is kept beside contents; absent = nothing. Entries that keep other things are other entries. */
  readonly keeps?: readonly KeptProperty[];
};

/** Permission bits, and times of files and directories. */
export type KeptProperty = 'modes' | 'mtimes';

/** An action that the caller brought ready made. The step is its translation; its results are kept under its own digest. */
export type GivenAction = {
  readonly action: Digest;
  /** Whether an earlier result will do, and a run that is under way already. */
  readonly lookUp: boolean;
  /** Those of the outputs that must be directories, where the caller told directories from files; absent where it did not. */
  readonly directories?: readonly string[];
};

/** Whether a build of these steps is an action that a build tool brought. */
export function isAction({ steps }: { readonly steps: readonly { readonly spec: StepSpec }[] }): boolean {
  return steps.length === 1 && steps[0]?.spec.given !== undefined;
}

/** The same of a build that is not accepted yet. */
export function isActionSpec({ steps }: { readonly steps: readonly StepSpec[] }): boolean {
  return steps.length === 1 && steps[0]?.given !== undefined;
}

/** One step of a build as it was accepted: checked, with all defaults filled in. Immutable. */
export type StepSpec = {
  readonly name: string;
  /** Program and arguments; no shell is implied. */
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Names of variables that the agent passes through from its own environment; their values are no part of the key. */
  readonly passEnv: readonly string[];
  /** Directory below the input root in which the command runs; '' is the root. */
  readonly workingDirectory: string;
  /** Root of the step's own input tree (a REAPI Directory). */
  readonly inputRoot: Digest;
  /** Bytes of all files below `inputRoot`, for placement. */
  readonly inputBytes: number;
  readonly needs: readonly Need[];
  /** Paths from the working directory on whose files and directories are the step's outputs; only a given action's may begin with `..`. */
  readonly outputs: readonly string[];
  readonly selector: string;
  readonly resources: Resources;
  /** Lowest zone in which the step may run. */
  readonly zone: Zone;
  readonly sandbox: readonly SandboxTrait[];
  /** It finds out whether a pool works, and so also runs in one that is degraded; absent = it does not. */
  readonly canary?: true;
  readonly network: boolean;
  /** Whether an equal earlier result may be used, and this one kept. */
  readonly cacheable: boolean;
  /** Anything else that keys the result: the same step with another salt is another action. */
  readonly salt: string;
  /** Absent = the action is made of the fields here and of what the needs leave. */
  readonly given?: GivenAction;
  /** Their names, paths and keys are part of the action's key; absent = none. */
  readonly dependencyCaches?: readonly DependencyCache[];
  /** Whether a run changes the world outside of its outputs; then it is not retried after its agent was lost. */
  readonly sideEffects: boolean;
  readonly critical: boolean;
  readonly onLag: OnLag | undefined;
  readonly runIf: RunIf;
  readonly priority: number;
  /** Longest wait between being runnable and started; undefined = no bound. */
  readonly queueTimeoutMs: number | undefined;
  /** Longest run of one attempt. */
  readonly runTimeoutMs: number;
  /** Longest time from being runnable to the end, all attempts included; undefined = no bound. */
  readonly totalTimeoutMs: number | undefined;
  /** Between SIGTERM and SIGKILL when an attempt is cancelled or timed out. */
  readonly graceMs: number;
  readonly retry: RetryPolicy;
};

/** A build as it was accepted. The steps' needs form no cycle and name steps of the build. */
export type BuildSpec = {
  readonly name: string;
  readonly project: string;
  readonly scope: string;
  readonly zoneCeiling: Zone;
  readonly submittedBy: string;
  /** Free labels of the build, for finding it again (`branch`, `commit`). */
  readonly labels: Readonly<Record<string, string>>;
  /** Weight of the build within its project's share, 1 is normal. */
  readonly weight: number;
  /** Builds of a project that name the same share have one together, of the weight of the first; absent = one of its own. */
  readonly share?: string;
  /** Ends every unfinished step when it is over; undefined = no bound. */
  readonly timeoutMs: number | undefined;
  /** Whether the first failure of a critical step cancels what has not started. */
  readonly failFast: boolean;
  readonly steps: readonly StepSpec[];
};
