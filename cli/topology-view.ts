import type { Problem } from '../base/document/problem.ts';

/** A topology that was applied. */
export type TopologyView = {
  readonly revision: number;
  /** SHA-256 of its text, in hex. */
  readonly digest: string;
  readonly by: string;
  readonly atMs: number;
  readonly reason: string;
};

/** What is wrong with a topology, or what it would change. */
export type TopologyPlan = {
  readonly problems: readonly Problem[];
  /** Of the topology that holds; '' where none was applied. */
  readonly baseDigest: string;
  readonly digest: string;
  readonly changes: readonly string[];
  readonly agents: readonly { readonly agent: string; readonly change: string }[];
  readonly stranded: readonly { readonly steps: number; readonly example: string; readonly selector: string; readonly zone: string }[];
};

/** What pipelines take of an environment. */
export type EnvironmentView = {
  readonly params: Readonly<Record<string, string | number | boolean>>;
  readonly flags: Readonly<Record<string, string | number | boolean>>;
  readonly warnings: readonly string[];
};

/** What a server knows of its topology. Every method throws as `BuildServer`. */
export interface TopologyServer {
  /** The one that holds for revision 0; undefined where none was applied yet. */
  current(revision: number, signal: AbortSignal): Promise<(TopologyView & { readonly text: string }) | undefined>;
  /** '' for none. */
  environment(name: string, signal: AbortSignal): Promise<EnvironmentView>;
  /** Newest first. */
  history(signal: AbortSignal): Promise<readonly TopologyView[]>;
  plan(text: string, signal: AbortSignal): Promise<TopologyPlan>;
  apply(
    wanted: { readonly text: string; readonly baseDigest: string; readonly reason: string },
    signal: AbortSignal,
  ): Promise<{ readonly revision: number; readonly isNew: boolean }>;
}
