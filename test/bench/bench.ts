import { execFileSync } from 'node:child_process';
import { availableParallelism, cpus, totalmem } from 'node:os';
import type { Env } from '../../base/env.ts';

/** One figure of a benchmark. */
export type Figure = {
  /** What was varied: `50 steps/s, 4 agents`. */
  readonly case: string;
  readonly metric: string;
  readonly value: number;
  readonly unit: string;
};

export type BenchOptions = {
  readonly env: Env;
  /** A peer's endpoint to measure in the same run; only where the benchmark knows peers. */
  readonly against: string | undefined;
  /** Which ledgers to measure. */
  readonly ledger: 'redis' | 'sqlite' | 'both';
  /** A Redis to use, host:port or URL; undefined = one is started. */
  readonly redis: string | undefined;
  /** Whether the Redis that is started has a core of its own. */
  readonly redisCore: boolean;
  /** The one case to measure, of a benchmark that has several; undefined = all. */
  readonly only: string | undefined;
  /** Path of a program that some case has as its client. */
  readonly client: string | undefined;
  /** Smaller loads, to see that it works. */
  readonly quick: boolean;
};

/** A benchmark never judges: it measures, and a person compares the figures of one run. */
export type Bench = {
  readonly name: string;
  readonly about: string;
  /** Whether it measures the peer that `--against` names too. */
  readonly knowsPeers: boolean;
  /** What `--only` may name; none where it is one whole. */
  readonly cases?: readonly string[];
  /** Hands out figures as they are known. */
  run(options: BenchOptions): AsyncIterable<Figure>;
};

/** Where and of what a run's figures are. */
export type Circumstances = { readonly commit: string; readonly machine: string; readonly node: string; readonly at: string };

export function circumstances(now: number): Circumstances {
  let commit = 'unknown';
  try {
    commit = execFileSync('git', ['describe', '--always', '--dirty'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    // A tree without git history: the figures stand without a commit.
  }
  const gib = Math.round(totalmem() / 2 ** 30);
  const machine = `${availableParallelism()} cores, ${cpus()[0]?.model.trim() ?? 'unknown processor'}, ${gib} GiB`;
  return { commit, machine, node: process.version, at: new Date(now).toISOString() };
}

/** The value below which `share` of the samples lie; NaN where there are none. */
export function percentile(samples: readonly number[], share: number): number {
  if (samples.length === 0) return Number.NaN;
  const sorted = samples.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
}

export function median(samples: readonly number[]): number {
  return percentile(samples, 0.5);
}
