/** What one process of a data plane wants of all of them. */
export type Question =
  /** Attempts have ended, and grants are to be kept: as `UpdateGrants` says them. */
  | { readonly kind: 'grants'; readonly endedTokens: readonly string[]; readonly keptGrants: readonly string[] }
  /** What it has refused, but for the batches that are kept: as `HeldRefusals.take` says it. */
  | { readonly kind: 'refusals'; readonly kept: readonly string[] }
  /** The metrics of the process, as `Metrics.snapshot` says them. */
  | { readonly kind: 'metrics' };

/** Where a process listens: what the data plane prints when it is ready. */
export type Ready = { readonly address: string; readonly httpAddress: string | undefined; readonly metrics: string | undefined };

/** From a process to the one that started it. */
export type Upward =
  | { readonly kind: 'ready'; readonly ready: Ready }
  | { readonly kind: 'ask'; readonly id: number; readonly question: Question }
  | { readonly kind: 'answer'; readonly id: number; readonly answer: unknown };

/** And back. Numbers are those of whoever asked. */
export type Downward =
  | { readonly kind: 'relay'; readonly coordinator: string }
  | { readonly kind: 'asked'; readonly id: number; readonly question: Question }
  | { readonly kind: 'answers'; readonly id: number; readonly answers: readonly unknown[] };
