import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '../../base/clock.ts';
import { prngFrom } from '../../base/prng.ts';
import { needs } from '../fixtures/host.ts';
import { breakThings } from './breaking.ts';
import { openEndpoints, type Endpoints } from './endpoints.ts';
import { FAULT_KINDS, type FaultKind } from './fault.ts';
import { inject } from './inject.ts';
import { openRun, RETENTION_MS, runUnderLoad, type AfterLoad, type ChaosEnv, type Run } from './load.ts';
import type { ChaosOptions } from './options.ts';
import { timesOf, type ChaosReport } from './report.ts';
import { planFaults } from './schedule.ts';
import { planBuild } from './workload.ts';
import { leaderOf, startYard, type Yard } from './yard.ts';

/** Longest time until everybody has found everybody. */
const START_MS = 60_000;
const PROGRESS_EVERY_MS = 60_000;

/** One whole run: load, faults, healing, the end of all builds, checks. */
export async function runChaos(options: ChaosOptions, env: ChaosEnv): Promise<ChaosReport> {
  const startedAt = systemClock.now();
  const witnessDir = join(env.dir, 'witness');
  mkdirSync(witnessDir, { recursive: true });
  const smallDisks = needs('mount');
  const { leaseTtlMs, termTtlMs } = options;
  const replica = options.kinds.includes('failover-redis');
  await using yard = await startYard({ ...options, dir: env.dir, retentionMs: RETENTION_MS, smallDisks, replica });
  using endpoints = openEndpoints(
    yard.coordinators.map(({ address }) => address),
    yard.token,
    prngFrom(options.seed + 1),
  );
  const late = AbortSignal.timeout(START_MS);
  await allAgentsAre(endpoints, options.agents, AbortSignal.any([env.signal, late])).catch((error: unknown) => {
    const hint = "run it with --keep and read the processes' logs";
    throw late.aborted ? new Error(`The yard did not come up within ${START_MS} ms: ${hint}`, { cause: error }) : error;
  });
  const run = openRun({ options, env, agents: yard.agents, endpoints, witnessDir });
  using _progress = sayProgress(run, yard);
  const schedule = planFaults(prngFrom(options.seed), {
    kinds: usable(options),
    durationMs: options.durationMs,
    everyMs: options.everyMs,
    leaseTtlMs,
    termTtlMs,
  });
  const injector = { yard, leaseTtlMs, leader: () => leaderOf(yard) };
  const after = await runUnderLoad(run, {
    plan: (index) => planBuild(index, { seed: options.seed, witnessDir }),
    breakThings: () => breakThings(run, schedule, (fault, held) => inject(fault, { ...injector, held })),
  });
  return reportOf(run, yard, options, { startedAt, ...after });
}

/** The faults that this host and this yard can have. */
function usable({ kinds, coordinators, ledger, net }: ChaosOptions): readonly FaultKind[] {
  const can = {
    nothing: true,
    followers: coordinators > 1,
    redis: ledger === 'redis',
    mount: needs('mount'),
    prlimit: needs('prlimit'),
    net,
    asking: ledger === 'redis',
  };
  return kinds.filter((kind) => can[FAULT_KINDS[kind].needs] && (kind !== 'full-disk-blobs' || ledger === 'redis'));
}

/** Waits until so many agents are registered. */
export async function allAgentsAre(endpoints: Endpoints, count: number, signal: AbortSignal): Promise<void> {
  for (;;) {
    const { agents } = await endpoints.call((server, one) => server.agents(one), signal);
    if (agents.filter(({ connected }) => connected).length >= count) return;
    await sleep(100, undefined, { signal });
  }
}

function sayProgress(run: Run, yard: Yard): Disposable {
  const timer = setInterval(() => {
    const minutes = Math.round((systemClock.monotonic() - run.originMs) / 60_000);
    const { tally, faults, violations, open } = run;
    const falls = [...yard.coordinators, ...yard.agents].reduce((sum, member) => sum + member.falls.length, 0);
    const counts = `${tally.builds} builds, ${tally.attempts} attempts, ${open.size} open, ${faults.length} faults`;
    run.env.say(`${minutes} min: ${counts}, ${falls} processes ended by themselves, ${violations.length} violations`);
  }, PROGRESS_EVERY_MS);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

type ReportFacts = AfterLoad & { readonly startedAt: number };

function reportOf(run: Run, yard: Yard, options: ChaosOptions, more: ReportFacts): ChaosReport {
  const { env, tally, recovery } = run;
  const faults: Record<string, number> = {};
  for (const { kind } of run.faults) faults[kind] = (faults[kind] ?? 0) + 1;
  const members = [...yard.coordinators, ...yard.agents].filter(({ falls }) => falls.length > 0);
  const report: ChaosReport = {
    seed: options.seed,
    commit: env.commit,
    options,
    startedAt: new Date(more.startedAt).toISOString(),
    tookMs: systemClock.now() - more.startedAt,
    faults,
    faultsLeftOut: more.faultsLeftOut,
    builds: tally.builds,
    steps: Object.fromEntries(tally.steps),
    sources: Object.fromEntries(tally.sources),
    attempts: tally.attempts,
    errors: Object.fromEntries(tally.errors),
    heldBack: more.heldBack,
    expiredCursors: tally.expiredCursors,
    madeAgain: tally.madeAgain,
    falls: Object.fromEntries(members.map(({ name, falls }) => [name, falls])),
    recovery: Object.fromEntries([...recovery.times].map(([name, values]) => [name, timesOf(values)])),
    evidence: { ...more.evidence, logsRead: tally.logsRead },
    violations: run.violations,
  };
  if (options.report !== undefined) writeFileSync(options.report, `${JSON.stringify(report, undefined, 2)}\n`);
  return report;
}
