import type { FailureClass } from '../../base/failure.ts';

/** What one fault does; `npm run chaos -- --faults a,b` names them. */
export const FAULT_KINDS = {
  'kill-agent': { needs: 'nothing', about: 'kill -9 of an agent, which is started again later' },
  'stop-agent': { needs: 'nothing', about: 'SIGSTOP of an agent, often past its leases, then SIGCONT' },
  'term-agent': { needs: 'nothing', about: 'SIGTERM of an agent, which drains; then a new one' },
  'kill-leader': { needs: 'nothing', about: 'kill -9 of the coordinator that leads' },
  'stop-leader': { needs: 'followers', about: 'SIGSTOP of the leader past its term, then SIGCONT' },
  'term-leader': { needs: 'nothing', about: 'SIGTERM of the leader, as in a rolling restart' },
  'kill-follower': { needs: 'followers', about: 'kill -9 of a coordinator that follows' },
  'stop-follower': { needs: 'followers', about: 'SIGSTOP of a coordinator that follows' },
  'kill-data-plane': { needs: 'nothing', about: 'kill -9 of the data plane of a coordinator' },
  'cut-agents': { needs: 'nothing', about: 'all links of agents to one coordinator are reset and refused' },
  'stall-agents': { needs: 'nothing', about: 'all links of agents to one coordinator are silent' },
  'half-open-agents': { needs: 'nothing', about: 'one coordinator loses its links to agents, which hear nothing of it' },
  'slow-agents': { needs: 'nothing', about: 'all links of agents to one coordinator get slow' },
  'cut-redis': { needs: 'redis', about: 'the links of one coordinator to Redis are reset and refused' },
  'stall-redis': { needs: 'redis', about: 'the links of one coordinator to Redis are silent' },
  'half-open-redis': { needs: 'redis', about: 'Redis loses the links of one coordinator, which hears nothing of it' },
  'slow-redis-link': { needs: 'redis', about: 'the links of one coordinator to Redis get slow' },
  'kill-redis': { needs: 'redis', about: 'kill -9 of Redis, started again on its append-only file' },
  'stop-redis': { needs: 'redis', about: 'SIGSTOP of Redis, then SIGCONT' },
  'full-redis': { needs: 'redis', about: 'CONFIG SET maxmemory to less than is used' },
  'readonly-redis': { needs: 'redis', about: 'Redis refuses writes for want of replicas' },
  'pause-redis': { needs: 'redis', about: 'CLIENT PAUSE: Redis answers nothing for a while' },
  'full-disk-agent': { needs: 'mount', about: 'the disk of an agent is full' },
  'full-disk-blobs': { needs: 'mount', about: 'the disk with the blobs is full' },
  'few-files-agent': { needs: 'prlimit', about: 'an agent may open no more files' },
  'few-files-leader': { needs: 'prlimit', about: 'the leader may open no more files' },
  partition: { needs: 'net', about: 'one agent or coordinator is cut off: packets to and from it are dropped' },
  'one-way': { needs: 'net', about: 'packets of one agent or coordinator are dropped, those to it arrive' },
  loss: { needs: 'net', about: 'one in five packets that one agent or coordinator sends is lost' },
  'empty-redis': { needs: 'asking', about: 'Redis is killed and started empty' },
  'failover-redis': { needs: 'asking', about: 'Redis fails over to a replica that lacks the last seconds' },
} as const satisfies Record<
  string,
  { readonly needs: 'nothing' | 'followers' | 'redis' | 'mount' | 'prlimit' | 'net' | 'asking'; readonly about: string }
>;

export type FaultKind = keyof typeof FAULT_KINDS;

export const ALL_FAULTS = Object.keys(FAULT_KINDS) as readonly FaultKind[]; // the keys of a record with exactly these

/** Faults after which the ledger lacks what it had acknowledged: fewer invariants hold then, see `Amnesia`. */
export const FORGETFUL: ReadonlySet<string> = new Set<FaultKind>(['empty-redis', 'failover-redis']);

/** One fault of the schedule. Times in milliseconds since the run began. */
export type PlannedFault<K extends string = FaultKind> = {
  readonly kind: K;
  readonly atMs: number;
  readonly forMs: number;
  /** Draws the target among those that fit when it is injected. */
  readonly draw: number;
};

/** What a fault did, and what may be put down to it. Times are wall-clock. */
export type FaultRecord = {
  /** `FaultKind`, or another one of the laboratory's. */
  readonly kind: string;
  /** Who was hit, for people. */
  readonly target: string;
  readonly fromMs: number;
  /** When it was healed; undefined while it is in force. */
  toMs: number | undefined;
  readonly blame: Blame;
};

/** The ends of attempts that a fault excuses: on which agents, and of which classes. */
export type Blame = {
  readonly agents: 'all' | readonly string[];
  readonly classes: readonly FailureClass[];
};

export const NO_BLAME: Blame = { agents: [], classes: [] };
/** What comes of an agent that is away, or taken for away. */
export const LOSSES = ['agent-lost', 'agent-stop', 'cache-error', 'sandbox-error'] as const satisfies readonly FailureClass[];
