import type { TimeMs } from '../../base/clock.ts';
import type { ScaleInCandidate } from '../core/scale-in.ts';
import type { PoolDemand, PoolShape } from '../core/demand.ts';
import type { AgentId, BuildId, LeaseToken, StepId } from '../core/ids.ts';
import type { BuildSpec } from '../core/spec.ts';
import type { TopologyRevision } from '../core/state.ts';
import type { TopologyEffects } from '../core/topology.ts';
import type { Topology } from '../../topology/model.ts';
import type { Tally } from '../core/tally.ts';
import type { Waiting } from '../core/waiting.ts';
import type {
  AgentView,
  BuildFilter,
  BuildView,
  ClusterView,
  Explanation,
  HoldView,
  LeaseView,
  PoolView,
  StepView,
  YardCounts,
} from '../core/view.ts';

/** What the scheduler shows of itself; it may be ahead of what is durable until the driver has settled. */
export interface CoreView {
  build(id: BuildId): BuildView | undefined;
  /** The build that was accepted under an idempotency key of the project's scope. */
  buildOfKey(owner: Pick<BuildSpec, 'project' | 'scope'>, idempotencyKey: string): BuildId | undefined;
  step(id: StepId): StepView | undefined;
  /** Newest first. */
  builds(filter: BuildFilter): readonly BuildView[];
  agents(): readonly AgentView[];
  agent(id: AgentId): AgentView | undefined;
  holds(): readonly HoldView[];
  /** Topologies that were applied, oldest first; the last one holds. */
  topologies(): readonly TopologyRevision[];
  /** What holds. */
  readonly topology: Topology;
  topologyEffects(topology: Topology): TopologyEffects;
  lease(token: LeaseToken): LeaseView | undefined;
  explain(step: StepId, now: TimeMs): Explanation | undefined;
  /** Pools with agents, by name. */
  pools(): readonly PoolView[];
  /** Clusters with agents, and those whose breaker is open; by name. */
  clusters(): readonly ClusterView[];
  /** What a pool of such agents is wanted for. */
  demandOf(shape: PoolShape): PoolDemand;
  /** Agents of the pool `<cluster>/<pool>` that serve, in the order in which to do without them. */
  scaleInOrder(pool: string, now: TimeMs): readonly ScaleInCandidate[];
  counts(): YardCounts;
  /** How queued steps wait. */
  waiting(): Waiting;
  readonly tally: Readonly<Tally>;
}
