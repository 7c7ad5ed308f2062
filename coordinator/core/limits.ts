/** Bounds of the core. Each is there so that no request, build or agent can take the memory or time of all the others. */
export const LIMITS = {
  /** Steps of one build: a ledger commit of them stays below a second on the slowest ledger. */
  stepsPerBuild: 100_000,
  needsPerStep: 1_000,
  /** Needs of all steps of a build together: what the graph costs in memory. */
  needsPerBuild: 1_000_000,
  /** Command, environment, outputs, selector and other names of one step, as text; larger scripts belong in a file of the inputs. */
  stepSpecBytes: 128 * 1024,
  /** The same of all steps of a build. */
  buildSpecBytes: 64 * 1024 * 1024,
  /** Unfinished steps of one project; beyond it submissions are refused with LIMIT_EXCEEDED. */
  unfinishedStepsPerProject: 500_000,
  outputsPerStep: 1_000,
  dependencyCachesPerStep: 16,
  pathsPerDependencyCache: 16,
  fallbacksPerDependencyCache: 10,
  patternsPerDependencyCache: 32,
  keyPartsPerDependencyCache: 64,
  /** Longest key of a dependency cache; with name and paths it is the name of an entry, of at most 512 bytes. */
  dependencyKeyBytes: 400,
  labelsPerAgent: 64,
  labelsPerBuild: 64,
  labelBytes: 256,
  requirementsPerSelector: 32,
  attemptsKept: 8,
  /** Trees that the core remembers per agent, for placing steps where their inputs are. */
  partsPerAgent: 256,
  /** Candidates that are scored for one placement. */
  candidatesScored: 16,
  /** Different agents lost to one step before it is quarantined. */
  agentsLostToQuarantine: 3,
  /** Agents that a step avoids after they failed it. */
  avoidedAgents: 8,
  /** Different agents that are known at once; more are refused. */
  agents: 10_000,
  /** How long an agent that is gone and holds nothing is remembered: a day. */
  agentKeptMs: 86_400_000,
  /** Queued steps of one class that wait for a better agent than the free ones. */
  parkedPerClass: 64,
  /** Requirement classes without queued steps that are kept for the next step of their kind. */
  idleClasses: 1_024,
  /** Retries that one project may have at once, and how fast it earns new ones: a broken build must not eat the cluster. */
  retryBudgetBurst: 100,
  retryBudgetPerSecond: 10,
  /** Times that a step runs again because what it left has gone: a store that loses everything must not keep a build busy for ever. */
  rerunsPerStep: 3,
  /** Ends by our fault in a row that open an agent's breaker. */
  breakerErrors: 3,
  /**
   * Ends by our fault without a success between that open a pool's breaker, and the agents and steps of which they must at
   * least be: one broken host, or one step that breaks them all, says nothing about the pool.
   */
  poolBreakerErrors: 5,
  poolBreakerAgents: 2,
  poolBreakerSteps: 3,
  /** The same for a whole cluster, with the pools of which its errors must at least be. */
  clusterBreakerErrors: 8,
  clusterBreakerPools: 2,
  /** Retries after errors of one pool's agents that are free at once, and how fast they are earned: a bad pool must not storm. */
  poolRetryBurst: 50,
  poolRetryPerSecond: 5,
  /**
   * Entries that a new leader has written again at most, and how long ago their steps may have ended: what leaves room among those that
   * may wait to be written, for longer than one waits and a takeover takes.
   */
  publishedAgain: 8_000,
  publishedAgainMs: 300_000,
  /** Topologies that are remembered, the one that holds included. */
  topologiesKept: 50,
  /** Agents that an explanation names. */
  explainedAgents: 5,
} as const;

/** The bounds as a table of numbers, for tests that need small ones. */
export type Limits = { readonly [K in keyof typeof LIMITS]: number };

/** Times of the core, all server-set; agents learn theirs when they register. */
export type Timings = {
  readonly leaseTtlMs: number;
  readonly heartbeatMs: number;
  /** An offer that was not accepted in this time goes back to the head of its queue, at no cost. */
  readonly offerTtlMs: number;
  /** How long a step may wait for an agent that holds most of its inputs, and how many bytes make that worthwhile. */
  readonly localityWaitMs: number;
  readonly localityMinBytes: number;
  /** Waiting this long is worth one point of priority: so nothing starves. */
  readonly ageingMs: number;
};

export const DEFAULT_TIMINGS: Timings = {
  leaseTtlMs: 15_000,
  heartbeatMs: 5_000,
  offerTtlMs: 2_000,
  localityWaitMs: 2_000,
  localityMinBytes: 64 * 1024 * 1024,
  ageingMs: 60_000,
};
