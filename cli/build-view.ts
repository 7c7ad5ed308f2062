import type { FailureClass } from '../base/failure.ts';
import type { Resources } from '../base/resources.ts';
import type { SandboxTrait } from '../base/sandbox-trait.ts';
import type { Zone } from '../base/zone.ts';
import type { StepResult } from '../cache/action/result.ts';

/*
 * Builds, steps and agents as the command line knows them. `--output json` prints these very shapes, so they only grow;
 * times are milliseconds since the epoch, sizes bytes, and what is not known is left out.
 */

export const STEP_PHASES = ['blocked', 'resolving', 'queued', 'running', 'merged', 'ended'] as const;
export type StepPhase = (typeof STEP_PHASES)[number];

export const STEP_VERDICTS = ['succeeded', 'failed', 'errored', 'quarantined', 'timed-out', 'cancelled', 'skipped'] as const;
export type StepVerdict = (typeof STEP_VERDICTS)[number];

export const BUILD_PHASES = ['running', 'ended'] as const;
export type BuildPhase = (typeof BUILD_PHASES)[number];

export const BUILD_VERDICTS = ['succeeded', 'failed', 'cancelled', 'timed-out'] as const;
export type BuildVerdict = (typeof BUILD_VERDICTS)[number];

export const RESULT_SOURCES = ['run', 'cache', 'merge'] as const;
export type ResultSource = (typeof RESULT_SOURCES)[number];

export type AttemptView = {
  readonly number: number;
  readonly token: string;
  readonly agent: string;
  readonly acceptedAtMs: number;
  readonly endedAtMs: number | undefined;
  readonly endedWhy: string;
};

export type StepView = {
  readonly name: string;
  readonly phase: StepPhase;
  readonly verdict: StepVerdict | undefined;
  readonly source: ResultSource | undefined;
  readonly message: string;
  readonly failureClass: FailureClass | undefined;
  readonly result: StepResult | undefined;
  readonly attempts: readonly AttemptView[];
  readonly readyAtMs: number | undefined;
  readonly startedAtMs: number | undefined;
  readonly endedAtMs: number | undefined;
  readonly needs: readonly string[];
  readonly critical: boolean;
  readonly action: string | undefined;
  readonly mergedInto: string | undefined;
  /** Wanted outputs that were not there after a run that succeeded; servers from before it was told say nothing. */
  readonly missingOutputs?: readonly string[];
  /** Once they were looked up; servers from before there were any say nothing. */
  readonly dependencyCaches?: readonly DependencyCacheView[];
};

export const DEPENDENCY_FOUND = ['exact', 'fallback', 'nothing', 'unknown'] as const;
export const DEPENDENCY_SAVES = ['pending', 'kept', 'same', 'differs', 'dropped'] as const;

/** What became of one of a step's dependency caches. */
export type DependencyCacheView = {
  readonly name: string;
  readonly key: string;
  /** Undefined where the policy takes nothing up. */
  readonly found: (typeof DEPENDENCY_FOUND)[number] | undefined;
  readonly foundKey: string | undefined;
  readonly foundScope: string | undefined;
  readonly why: readonly string[];
  /** Undefined where nothing was to be kept. */
  readonly save: (typeof DEPENDENCY_SAVES)[number] | undefined;
  readonly warnings: readonly string[];
  /** How what was found came to its place; none where nothing was placed yet, or the agent does not tell. */
  readonly restores: readonly { readonly path: string; readonly rung: string; readonly bytesIn: number }[];
};

export type BuildView = {
  readonly id: string;
  readonly name: string;
  readonly project: string;
  readonly phase: BuildPhase;
  readonly verdict: BuildVerdict | undefined;
  readonly labels: Readonly<Record<string, string>>;
  readonly submittedBy: string;
  readonly acceptedAtMs: number;
  readonly endedAtMs: number | undefined;
  readonly stepsTotal: number;
  readonly stepsEnded: number;
  readonly stepsFromCache: number;
  readonly degraded: readonly string[];
};

/** A build with its steps, and the point in its history that this shows. */
export type BuildSnapshot = { readonly build: BuildView; readonly steps: readonly StepView[]; readonly cursor: string };

/** One thing that happened; `step` is '' where it happened to the build. */
export type BuildEvent = { readonly cursor: string; readonly atMs: number; readonly step: string } & (
  | { readonly kind: 'build-accepted' | 'step-ready' }
  | { readonly kind: 'step-queued'; readonly notBeforeMs: number | undefined; readonly why: string }
  | { readonly kind: 'step-merged'; readonly into: string }
  | { readonly kind: 'attempt-accepted' | 'attempt-started'; readonly number: number; readonly agent: string }
  | { readonly kind: 'attempt-ended'; readonly number: number; readonly agent: string; readonly why: string }
  | {
      readonly kind: 'step-ended';
      readonly verdict: StepVerdict;
      readonly source: ResultSource | undefined;
      readonly message: string;
      readonly failureClass: FailureClass | undefined;
      readonly result: StepResult | undefined;
    }
  | { readonly kind: 'build-ended'; readonly verdict: BuildVerdict; readonly degraded: readonly string[] }
  /** Only a sign of life. */
  | { readonly kind: 'nothing' }
);

export type ExplanationView = {
  readonly phase: StepPhase;
  readonly summary: string;
  readonly reasons: readonly string[];
  readonly queuePosition: number;
  readonly nearest: readonly { readonly agent: string; readonly lacks: readonly string[] }[];
  readonly placement: readonly { readonly term: string; readonly score: number; readonly why: string }[];
  readonly cache: readonly string[];
  readonly dependencyCaches: readonly string[];
};

export type AgentView = {
  readonly agent: string;
  readonly connected: boolean;
  readonly labels: Readonly<Record<string, string>>;
  readonly capacity: Resources;
  readonly free: Resources;
  readonly sandbox: readonly SandboxTrait[];
  readonly running: readonly string[];
  readonly draining: boolean;
  readonly version: string;
  readonly registeredAtMs: number;
  readonly breaker: BreakerView;
  /** Why it takes nothing new for now, as it says; empty = it does. */
  readonly cordoned: string;
  /** What keeps new steps from it whatever room it has; empty = nothing. */
  readonly keptFrom: string;
};

export type BreakerView = {
  /** `closed`, `open` or `half-open`. */
  readonly state: string;
  readonly errors: number;
  readonly sinceMs: number | undefined;
  readonly lastError: string;
  readonly probeAtMs: number | undefined;
};

export type PoolView = {
  readonly name: string;
  readonly agents: number;
  readonly connected: number;
  /** Agents that may be offered steps, whether they have room or not. */
  readonly taking: number;
  readonly running: number;
  readonly breaker: BreakerView;
  /** Why it is held back; empty while it is not. */
  readonly why: string;
  readonly retriesLeft: number;
};

/** What the coordinator itself needs, such as the store. */
export type DependencyView = {
  readonly name: string;
  readonly breaker: BreakerView;
  /** Where it is and how well it answers; may be empty. */
  readonly detail: string;
};

/** The agents of a yard and what keeps work from them. */
export type FleetView = {
  readonly agents: readonly AgentView[];
  readonly holds: readonly HoldView[];
  readonly pools: readonly PoolView[];
  readonly dependencies: readonly DependencyView[];
};

export type HoldView = {
  readonly target: string;
  readonly kind: string;
  readonly reason: string;
  readonly by: string;
  readonly sinceMs: number;
  readonly expiresAtMs: number | undefined;
};

export type ServerView = {
  readonly version: string;
  readonly dataAddress: string;
  readonly project: string;
  readonly scope: string;
  readonly role: string;
  readonly zoneCeiling: Zone;
  readonly instanceName: string;
  /** The server's clock; undefined where it does not say. */
  readonly nowMs: number | undefined;
  /** Where the coordinator listens that leads; '' while nobody does, undefined where the server does not say. */
  readonly leader: string | undefined;
};

/** A piece of a log; `offset` is its place in it. */
export type LogChunk = {
  readonly offset: number;
  readonly data: Uint8Array;
  readonly attempt: number;
  readonly complete: boolean;
  readonly truncated: boolean;
};
