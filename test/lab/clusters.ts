import type { Zone } from '../../base/zone.ts';

/** A cluster of the laboratory: one network namespace, behind one gateway. */
export type LabCluster = {
  readonly name: ClusterName;
  /** Of its agents' certificates, and in the topology file. */
  readonly zone: Zone;
  readonly pool: string;
  readonly agents: number;
  /** Of each agent. */
  readonly slots: number;
  /** What a byte takes from here to a coordinator or to S3, one way: the wide area, a room, another town. */
  readonly delayMs: number;
};

export const CLUSTER_NAMES = ['edge', 'central', 'production'] as const;
export type ClusterName = (typeof CLUSTER_NAMES)[number];

/** Twelve agents; `switchyard.topology.yaml` beside this file says the same of clusters, zones and pools. */
export const LAB_CLUSTERS: readonly LabCluster[] = [
  { name: 'edge', zone: 'untrusted', pool: 'light', agents: 5, slots: 2, delayMs: 20 },
  { name: 'central', zone: 'trusted', pool: 'big', agents: 4, slots: 3, delayMs: 1 },
  { name: 'production', zone: 'production', pool: 'signers', agents: 3, slots: 2, delayMs: 10 },
];

export const COORDINATORS = ['coordinator-1', 'coordinator-2'] as const;
export type CoordinatorName = (typeof COORDINATORS)[number];

export const agentsOf = ({ name, agents }: LabCluster): readonly string[] =>
  Array.from({ length: agents }, (_, index) => `${name}-${index + 1}`);

/** Names of all agents of a cluster. */
export function agentsIn(name: ClusterName): readonly string[] {
  return LAB_CLUSTERS.filter((cluster) => cluster.name === name).flatMap(agentsOf);
}

/** The cluster that an agent of this name is in; undefined for a stranger. */
export function clusterOf(agent: string): LabCluster | undefined {
  return LAB_CLUSTERS.find((cluster) => agentsOf(cluster).includes(agent));
}
