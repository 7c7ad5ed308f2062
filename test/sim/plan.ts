import type { Prng } from '../../base/prng.ts';
import type { Resources } from '../../base/resources.ts';
import { SANDBOX_TRAITS, type SandboxTrait } from '../../base/sandbox-trait.ts';
import { ZONES, type Zone } from '../../base/zone.ts';
import { present } from '../../base/assert.ts';
import { parseAgentId, type AgentId } from '../../coordinator/core/ids.ts';
import { DEFAULT_TIMINGS, type Timings } from '../../coordinator/core/limits.ts';

/** An agent of the simulated yard. */
export type AgentPlan = {
  readonly id: AgentId;
  readonly labels: Readonly<Record<string, string>>;
  readonly zone: Zone;
  readonly capacity: Resources;
  readonly sandbox: readonly SandboxTrait[];
};

/** Mean time between faults of a kind; undefined = the kind is off in this run. */
export type FaultRates = {
  readonly linkBreakMs: number | undefined;
  readonly partitionMs: number | undefined;
  readonly agentCrashMs: number | undefined;
  readonly agentStallMs: number | undefined;
  readonly agentDrainMs: number | undefined;
  /** One direction between an agent and a coordinator. */
  readonly oneWayCutMs: number | undefined;
  readonly coordinatorCrashMs: number | undefined;
  readonly coordinatorStallMs: number | undefined;
  /** SIGTERM. */
  readonly coordinatorEndMs: number | undefined;
  /** Nobody gets an answer of the ledger for a while. */
  readonly ledgerOutageMs: number | undefined;
  /** One direction between a coordinator and the ledger. */
  readonly ledgerCutMs: number | undefined;
  /** The ledger starts again and has everything. */
  readonly ledgerRestartMs: number | undefined;
  /** The ledger starts again and lacks the newest of what it had. */
  readonly ledgerLossMs: number | undefined;
  readonly holdMs: number | undefined;
  readonly cancelMs: number | undefined;
  readonly retryMs: number | undefined;
  readonly expireMs: number | undefined;
};

/** Everything that is drawn at the beginning of a run. */
export type Plan = {
  readonly steps: number;
  /** In a calm run nothing fails and all steps are alike: what is left is who gets his turn. */
  readonly calm: boolean;
  readonly agents: readonly AgentPlan[];
  /** How many coordinators share the ledger. */
  readonly coordinators: number;
  readonly termTtlMs: number;
  /** Of projects, where it is not 1. */
  readonly weights: Readonly<Record<string, number>>;
  /** Steps of projects that may run together, where that is bounded. */
  readonly quotas: Readonly<Record<string, number>>;
  readonly timings: Timings;
  readonly faults: FaultRates;
  readonly latencyMaxMs: number;
  readonly commitMaxMs: number;
  /** Chances in 1; `commitCrash` is that of a coordinator's death right after a commit. */
  readonly commitCrash: number;
  /** That a request to the ledger, or its answer, is lost. */
  readonly ledgerLost: number;
  readonly callLost: number;
  readonly stepFails: number;
  readonly stepErrs: number;
  readonly poison: number;
  readonly cacheDown: number;
  /** When faults stop. */
  readonly faultsEndMs: number;
  /** How far a coordinator's host may be off with its wall clock, to either side. */
  readonly clockSkewMsMax: number;
};

/**
 * Draws a plan. Whole kinds of faults are off in many runs, and in some most of them: what they would have hidden comes to
 * light there. In a calm run only coordinators may fail, because shares are counted from each takeover on.
 */
export function drawPlan(prng: Prng, steps: number): Omit<Plan, 'quotas'> {
  const calm = prng.below(8) === 0;
  const swarm = present([0.1, 0.3, 0.5, 0.8][prng.below(4)], 'one of four');
  const on = (weight: number) => prng.next() < weight;
  const rate = (low: number, high: number) => (!calm && on(swarm) ? low + prng.below(high - low) : undefined);
  const moved = (low: number, high: number) => (on(calm ? swarm / 3 : swarm) ? low + prng.below(high - low) : undefined);
  const chance = (highest: number) => (!calm && on(0.6) ? prng.next() * highest : 0);
  // Weights show only where the shares are several slots each: who holds less for his weight comes first.
  const weighted = calm && prng.below(2) === 0;
  const leaseTtlMs = [6_000, 15_000, 30_000][prng.below(3)] ?? DEFAULT_TIMINGS.leaseTtlMs;
  return {
    steps,
    calm,
    agents: drawAgents(prng, calm, weighted ? 6 : 0),
    coordinators: 1 + prng.below(3),
    termTtlMs: prng.below(4) === 0 ? 10_000 : 3_000,
    weights: weighted ? { apple: 1 + prng.below(2), birch: 1 + prng.below(2) } : {},
    timings: { ...DEFAULT_TIMINGS, leaseTtlMs, heartbeatMs: leaseTtlMs / 3 },
    faults: {
      linkBreakMs: rate(3_000, 60_000),
      partitionMs: rate(20_000, 120_000),
      oneWayCutMs: rate(10_000, 120_000),
      agentCrashMs: rate(5_000, 90_000),
      agentStallMs: rate(10_000, 120_000),
      agentDrainMs: rate(40_000, 200_000),
      coordinatorCrashMs: moved(3_000, 60_000),
      coordinatorStallMs: moved(5_000, 90_000),
      coordinatorEndMs: moved(5_000, 120_000),
      ledgerOutageMs: rate(20_000, 120_000),
      ledgerCutMs: rate(10_000, 90_000),
      ledgerRestartMs: rate(20_000, 120_000),
      ledgerLossMs: on(0.6) ? rate(20_000, 150_000) : undefined,
      holdMs: rate(20_000, 120_000),
      cancelMs: rate(5_000, 60_000),
      retryMs: rate(10_000, 60_000),
      expireMs: rate(20_000, 60_000),
    },
    latencyMaxMs: calm ? 5 : present([2, 40, 400, 2_500][prng.below(4)], 'one of four'),
    commitMaxMs: calm ? 2 : present([0, 5, 50, 800][prng.below(4)], 'one of four'),
    commitCrash: !calm && on(0.4) ? 0.03 : 0,
    ledgerLost: !calm && on(swarm) ? prng.next() * 0.1 : 0,
    callLost: chance(0.4),
    stepFails: chance(0.3),
    stepErrs: chance(0.3),
    poison: chance(0.08),
    cacheDown: chance(0.3),
    faultsEndMs: 60_000 + prng.below(240_000),
    clockSkewMsMax: on(calm ? swarm : 0.5) ? present([5_000, 120_000, 10 * 3_600_000][prng.below(3)], 'one of three') : 0,
  };
}

/** In calm runs there are none: a project at its quota is behind in its share. */
export function drawQuotas(prng: Prng, calm: boolean): Plan['quotas'] {
  if (calm || prng.below(2) === 0) return {};
  return { apple: 1 + prng.below(3), ...(prng.below(2) === 0 ? { '*': 1 + prng.below(4) } : {}) };
}

function drawAgents(prng: Prng, calm: boolean, slotsMin: number): readonly AgentPlan[] {
  const count = calm ? 1 + prng.below(2) : 2 + prng.below(6);
  return Array.from({ length: count }, (_, index) => drawAgent(prng, calm, index, slotsMin));
}

/** The first agent fits every step, so that every build can end; the others are of all kinds. */
function drawAgent(prng: Prng, calm: boolean, index: number, slotsMin: number): AgentPlan {
  const universal = index === 0 || calm;
  const zone = universal ? 'production' : present(ZONES[prng.below(ZONES.length)], 'a zone');
  const cluster = `c${prng.below(2)}`;
  const slots = Math.max(slotsMin, 1 + prng.below(calm ? 2 : 4));
  return {
    id: present(parseAgentId(`agent-${index}`), 'an agent id'),
    zone,
    labels: {
      cluster,
      pool: prng.below(2) === 0 ? 'edge' : 'central',
      zone,
      class: prng.below(2) === 0 ? 'edge' : 'central',
      arch: universal || prng.below(3) > 0 ? 'amd64' : 'arm64',
      cores: universal ? '16' : String(1 + prng.below(16)),
      ...(!universal && prng.below(4) === 0 ? { gpu: 'yes' } : {}),
    },
    capacity: {
      cpuMillis: universal ? 8_000 : 1_000 * (1 + prng.below(8)),
      memoryBytes: 2 ** 30 * (universal ? 8 : 1 + prng.below(8)),
      slots,
      custom: universal || prng.below(2) === 0 ? { license: 1 } : {},
    },
    sandbox: universal ? SANDBOX_TRAITS : SANDBOX_TRAITS.filter(() => prng.below(2) === 0),
  };
}
