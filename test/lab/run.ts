import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '../../base/clock.ts';
import { prngFrom } from '../../base/prng.ts';
import { breakThings } from '../chaos/breaking.ts';
import { openEndpoints } from '../chaos/endpoints.ts';
import { openRun, RETENTION_MS, runUnderLoad, type ChaosEnv } from '../chaos/load.ts';
import type { ObservedBuild } from '../chaos/observation.ts';
import { timesOf } from '../chaos/report.ts';
import { allAgentsAre } from '../chaos/run.ts';
import { planFaults } from '../chaos/schedule.ts';
import { clusterOf } from './clusters.ts';
import { injectLab } from './faults.ts';
import { lookAgain } from './outage.ts';
import { tryIntruders } from './intruders.ts';
import { measureIsolation } from './isolation.ts';
import type { LabOptions } from './options.ts';
import { applyTopology, runPipeline, type PipelineRun } from './pipeline.ts';
import type { LabReport, LabViolation } from './report.ts';
import { followTrust } from './trust.ts';
import { checkPlaces, planLabBuild } from './workload.ts';
import { startLabYard, type CallerName } from './yard.ts';

/** Longest time until everybody has found everybody, on a machine that does other things too. */
const START_MS = 180_000;
/** For what is still under way when load and faults are over. */
const PATIENCE_MS = 240_000;

/** One whole run: the pipeline, strangers, isolation; load under faults; the pipeline again, and the checks. */
export async function runLab(options: LabOptions, env: ChaosEnv): Promise<LabReport> {
  const startedAt = systemClock.now();
  const { seed, leaseTtlMs, termTtlMs } = options;
  const { dir, say } = env;
  const witnessDir = join(dir, 'witness');
  mkdirSync(witnessDir, { recursive: true });
  await using yard = await startLabYard({ dir, s3: options.s3, leaseTtlMs, termTtlMs, retentionMs: RETENTION_MS, say });
  const open = (who: CallerName) => openEndpoints(yard.addresses, yard.tokens[who], prngFrom(seed + 1), () => yard.tls);
  using main = open('main');
  using fork = open('fork');
  const endpoints = { main, fork };
  say(`S3 is ${yard.storeName}; waiting for ${yard.agents.length} agents`);
  await allAgentsAre(main, yard.agents.length, AbortSignal.any([env.signal, AbortSignal.timeout(START_MS)])).catch((error: unknown) => {
    throw new Error(`The yard did not come up within ${START_MS} ms: run it with --keep and read the processes' logs`, { cause: error });
  });
  await applyTopology(yard, dir);
  const before = await runPipeline(yard, main, dir, 'before', env.signal);
  say(`the pipeline ran: ${before.problems.join('; ') || 'each step where it belongs'}`);
  const intrusions = await tryIntruders(yard);
  const isolation =
    options.isolationMs === 0
      ? undefined
      : await measureIsolation({ seed, endpoints, durationMs: options.isolationMs, signal: env.signal });

  say('builds begin, and faults');
  const violations: LabViolation[] = [];
  const note = (violation: LabViolation) => {
    violations.push(violation);
    say(`BROKEN ${violation.invariant}: ${violation.where} ${violation.what}`);
  };
  const places: Record<string, number> = {};
  const observedBuilds = new Map<string, ObservedBuild>();
  const run = openRun({
    ...{ options, env, agents: yard.agents, endpoints: main, witnessDir },
    onViolation: () => {}, // what went on without the store is looked at again at the end
    onObserved(observed) {
      observedBuilds.set(observed.id, observed);
      for (const violation of checkPlaces(observed)) note(violation);
      for (const { attempts } of observed.snapshot?.steps ?? []) {
        for (const { agent } of attempts)
          places[clusterOf(agent)?.name ?? 'elsewhere'] = (places[clusterOf(agent)?.name ?? 'elsewhere'] ?? 0) + 1;
      }
    },
  });
  const { durationMs, everyMs, kinds } = options;
  const schedule = planFaults(prngFrom(seed), { kinds, durationMs, everyMs, leaseTtlMs, termTtlMs });
  const loadIsOver = AbortSignal.timeout(durationMs);
  const late = AbortSignal.any([env.signal, AbortSignal.timeout(durationMs + PATIENCE_MS)]);
  const [after, { violations: untrusted, ...trust }] = await Promise.all([
    runUnderLoad(run, {
      plan: (index) => planLabBuild(index, { seed, witnessDir }),
      breakThings: () => breakThings(run, schedule, (fault, held) => injectLab(fault, yard, { held, leaseTtlMs })),
    }),
    followTrust({ seed, endpoints, prng: prngFrom(seed * 3 + 1), until: loadIsOver, signal: late }),
  ]);
  const { excused, outage, broken } = await lookAgain(run.violations, observedBuilds, { endpoints: main, signal: env.signal });
  for (const violation of [...run.violations.filter((one) => !excused.has(one)), ...broken, ...untrusted]) note(violation);
  const last = await runPipeline(yard, main, dir, 'after', env.signal);
  for (const [name, { build, problems }] of Object.entries({ before, after: last }) satisfies readonly [string, PipelineRun][]) {
    for (const what of problems) note({ invariant: 'pipeline', where: `${name} ${build}`, what });
  }
  for (const { tried, refused } of intrusions) if (!refused) note({ invariant: 'strangers', where: tried, what: 'was taken for an agent' });
  const faults: Record<string, number> = {};
  for (const { kind } of run.faults) faults[kind] = (faults[kind] ?? 0) + 1;
  const fallen = [...yard.coordinators, ...yard.agents].filter(({ falls }) => falls.length > 0);
  const { tally, recovery } = run;
  return {
    ...{ seed, commit: env.commit, options, startedAt: new Date(startedAt).toISOString(), tookMs: systemClock.now() - startedAt },
    ...{ store: yard.storeName, pipeline: { before, after: last }, intrusions, isolation, faults, faultsLeftOut: after.faultsLeftOut },
    ...{ builds: tally.builds, steps: Object.fromEntries(tally.steps), attempts: tally.attempts, places },
    ...{ errors: Object.fromEntries(tally.errors), heldBack: after.heldBack, trust, outage },
    falls: Object.fromEntries(fallen.map(({ name, falls }) => [name, falls])),
    recovery: Object.fromEntries([...recovery.times].map(([name, values]) => [name, timesOf(values)])),
    evidence: { ...after.evidence, logsRead: tally.logsRead },
    violations,
  };
}
