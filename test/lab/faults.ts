import { systemClock } from '../../base/clock.ts';
import { FAULT_KINDS, LOSSES, type Blame, type FaultKind, type PlannedFault } from '../chaos/fault.ts';
import { inject, type Injected } from '../chaos/inject.ts';
import { leaderOf } from '../chaos/yard.ts';
import { agentsIn, CLUSTER_NAMES, type ClusterName } from './clusters.ts';
import type { LabYard } from './yard.ts';

/** Faults of clusters, links and the store, beside those of processes that chaos runs have. */
const OWN_FAULTS = {
  'isolate-cluster': 'a cluster is cut off from everybody: packets to and from it are dropped',
  'mute-cluster': 'packets of a cluster are dropped, those to it arrive',
  'lossy-cluster': 'one in five packets that a cluster sends is lost',
  'slow-cluster': 'the way from a cluster to everybody takes a quarter of a second more',
  'cut-leader': 'packets between a cluster and the coordinator that leads are dropped; the other one is there',
  'kill-gateway': 'kill -9 of the gateway of a cluster: all its connections are reset, and refused until it is back',
  'kill-cluster': 'kill -9 of all agents of a cluster at once',
  'cut-store': 'all links to S3 are reset and refused',
  'stall-store': 'all links to S3 are silent',
} as const satisfies Readonly<Record<string, string>>;

type OwnFault = keyof typeof OWN_FAULTS;

/** Those of chaos runs that the laboratory has, too. */
const CHAOS_FAULTS = [
  ...(['kill-agent', 'stop-agent', 'kill-leader', 'stop-leader', 'term-leader', 'kill-follower', 'kill-data-plane'] as const),
  ...(['cut-redis', 'stall-redis', 'half-open-redis', 'kill-redis'] as const),
] satisfies readonly FaultKind[];

export type LabFault = OwnFault | (typeof CHAOS_FAULTS)[number];

const OWN = Object.keys(OWN_FAULTS) as readonly OwnFault[]; // the keys of a literal
export const LAB_FAULTS: readonly LabFault[] = [...OWN, ...CHAOS_FAULTS];

/** What it does, for people. */
export const aboutFault = (kind: LabFault): string => (isOwn(kind) ? OWN_FAULTS[kind] : FAULT_KINDS[kind].about);

/** The network heals all of its hosts at once: one fault of it at a time. */
const NETWORK = 'network';
const LOST_PERCENT = 20;
/** What an agent meets that is there, while bytes do not come or go. */
const STORE_AWAY: Blame = { agents: 'all', classes: ['cache-error', 'sandbox-error'] };

/** Puts the fault in force on a target that no other fault holds; undefined where there is none. */
export async function injectLab(
  fault: PlannedFault<LabFault>,
  yard: LabYard,
  { held, leaseTtlMs }: { readonly held: ReadonlySet<string>; readonly leaseTtlMs: number },
): Promise<Injected | undefined> {
  const { kind } = fault;
  const leader = () => leaderOf(yard);
  if (!isOwn(kind)) return inject({ ...fault, kind }, { yard, leaseTtlMs, leader, held });
  if (kind === 'cut-store' || kind === 'stall-store') return hitStore(kind, yard, held);
  const cluster = CLUSTER_NAMES[Math.floor(fault.draw * CLUSTER_NAMES.length)] ?? 'edge';
  const agents = agentsIn(cluster);
  if (agents.some((name) => held.has(name)) || held.has(cluster)) return undefined;
  const blame: Blame = { agents, classes: LOSSES };
  const fromMs = systemClock.now();
  const heal = await hitCluster(kind, cluster, { yard, held, leader });
  if (heal === undefined) return undefined;
  const isOfNetwork = kind !== 'slow-cluster' && kind !== 'kill-gateway' && kind !== 'kill-cluster';
  return injectedOf({ kind, target: cluster, fromMs, blame }, isOfNetwork ? NETWORK : cluster, heal);
}

function isOwn(kind: LabFault): kind is OwnFault {
  return Object.hasOwn(OWN_FAULTS, kind);
}

function injectedOf(
  record: { readonly kind: LabFault; readonly target: string; readonly fromMs: number; readonly blame: Blame },
  holds: string,
  heal: () => Promise<void> | void,
): Injected {
  const kept: Injected['record'] = { ...record, toMs: undefined };
  return {
    record: kept,
    holds,
    async heal() {
      await heal();
      kept.toMs = systemClock.now();
    },
  };
}

type Around = {
  readonly yard: LabYard;
  readonly held: ReadonlySet<string>;
  readonly leader: () => ReturnType<typeof leaderOf>;
};

/** Does it, and answers how it is undone; undefined where it cannot be done now. */
async function hitCluster(kind: OwnFault, cluster: ClusterName, around: Around): Promise<(() => Promise<void> | void) | undefined> {
  const { yard, held, leader } = around;
  const { net } = yard.network;
  const gateway = yard.network.gateway(cluster);
  if (kind === 'kill-gateway') {
    await gateway.down('SIGKILL');
    return () => gateway.start();
  }
  if (kind === 'slow-cluster') {
    gateway.process.kill('SIGUSR2');
    return () => gateway.process.kill('SIGHUP');
  }
  if (kind === 'kill-cluster') {
    const agents = yard.agents.filter(({ name }) => agentsIn(cluster).includes(name));
    await Promise.all(agents.map((agent) => agent.down('SIGKILL')));
    return () => {
      for (const agent of agents) agent.start();
    };
  }
  if (held.has(NETWORK)) return undefined;
  if (kind === 'cut-leader') {
    const leading = await leader();
    if (leading === undefined || held.has(leading.name)) return undefined;
    net.partition(cluster, leading.name);
  } else if (kind === 'isolate-cluster') net.isolate(cluster);
  else if (kind === 'mute-cluster') net.mute(cluster);
  else net.loss(cluster, LOST_PERCENT);
  return () => net.heal();
}

function hitStore(kind: 'cut-store' | 'stall-store', { s3Link }: LabYard, held: ReadonlySet<string>): Injected | undefined {
  if (held.has('store')) return undefined;
  if (kind === 'cut-store') s3Link.cut();
  else s3Link.stall();
  return injectedOf({ kind, target: 'store', fromMs: systemClock.now(), blame: STORE_AWAY }, 'store', () => s3Link.heal());
}
