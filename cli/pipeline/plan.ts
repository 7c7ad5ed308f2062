import type { RetryPolicyAsWritten } from './retry-policy.ts';
import type { SandboxTrait } from '../../base/sandbox-trait.ts';
import type { Zone } from '../../base/zone.ts';
import type { InputsAsWritten } from './table.ts';
import type { PlannedDependencyCache } from './plan-dependency-caches.ts';
import type { Place } from '../../base/document/problem.ts';

/** A step as the file asks for it: templates, matrix and expressions worked out, inputs still patterns. */
export type PlannedStep = {
  /** `test`, or `test[shard=1]` of a matrix. */
  readonly name: string;
  /** The key under `steps`. */
  readonly key: string;
  readonly place: Place;
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly passEnv: readonly string[];
  readonly workingDirectory: string;
  readonly inputs: InputsAsWritten;
  readonly needs: readonly { readonly step: string; readonly outputs: boolean }[];
  readonly outputs: readonly string[];
  readonly selector: string;
  readonly resources: {
    readonly cpuMillis: number;
    readonly memoryBytes: number;
    readonly slots: number;
    readonly custom: Readonly<Record<string, number>>;
  };
  readonly zone: Zone | undefined;
  /** Environment in whose place it runs; '' for none. */
  readonly environment: string;
  readonly sandbox: readonly SandboxTrait[];
  readonly network: boolean;
  readonly cacheable: boolean;
  readonly salt: string;
  readonly dependencyCaches: readonly PlannedDependencyCache[];
  readonly sideEffects: boolean | undefined;
  readonly critical: boolean;
  readonly onLag: { readonly afterMs: number; readonly use: 'skip' | 'default' } | undefined;
  readonly runIf: 'succeeded' | 'failed' | 'always';
  readonly priority: number;
  /** 0 stands for the server's default, or for no bound where the server has none. */
  readonly queueTimeoutMs: number;
  readonly runTimeoutMs: number;
  readonly totalTimeoutMs: number;
  readonly graceMs: number;
  readonly retry: RetryPolicyAsWritten | undefined;
};

/** A build as the file asks for it. */
export type Plan = {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  readonly failFast: boolean;
  /** Patterns of .gitignore's form that no step reads. */
  readonly ignore: readonly string[];
  readonly steps: readonly PlannedStep[];
  /** Keys of steps that `when` left out. */
  readonly left: readonly string[];
};
