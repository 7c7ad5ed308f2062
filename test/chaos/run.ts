import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '../../base/clock.ts';
import { prngFrom } from '../../base/prng.ts';
import { reasonOf } from '../../base/thrown.ts';
import { readAgentJournal } from '../fixtures/agent-journal.ts';
import { needs } from '../fixtures/host.ts';
import { amnesiaOf, type Amnesia } from './amnesia.ts';
import { checkAlone, checkFenced, checkWitness, type Witness } from './checks/journals.ts';
import { runBuild } from './client.ts';
import { openEndpoints, type Endpoints } from './endpoints.ts';
import { FAULT_KINDS, type FaultKind, type FaultRecord } from './fault.ts';
import { inject, reached, type Injected } from './inject.ts';
import type { Violation } from './observation.ts';
import type { ChaosOptions } from './options.ts';
import { openRecovery, type Recovery } from './recovery.ts';
import { timesOf, type ChaosReport } from './report.ts';
import { planFaults } from './schedule.ts';
import { checkBuild, fingerprintOf, openTally, type Tally } from './tally.ts';
import { planBuild } from './workload.ts';
import { leaderOf, startYard, type Yard } from './yard.ts';

export type ChaosEnv = {
  /** A new directory for everything. */
  readonly dir: string;
  readonly commit: string;
  readonly say: (line: string) => void;
  readonly signal: AbortSignal;
};

/** Builds that are open at most, in seconds of load: more of it waits, so that an outage does not end in a flood. */
const OPEN_SECONDS_MAX = 60;
/** Ended builds stay for so long. */
const RETENTION_MS = 20 * 60_000;
/** Longest time until everybody has found everybody. */
const START_MS = 60_000;
const HEALING_TRIES = 10;
const PROGRESS_EVERY_MS = 60_000;

/** What all parts of a run share. */
type Run = {
  readonly options: ChaosOptions;
  readonly env: ChaosEnv;
  readonly yard: Yard;
  readonly endpoints: Endpoints;
  readonly originMs: number;
  readonly faults: FaultRecord[];
  readonly amnesia: Amnesia;
  /** When what was submitted first: by key and by id, wall clock. */
  readonly submittedAt: Map<string, number>;
  readonly violations: Violation[];
  readonly tally: Tally;
  readonly recovery: Recovery;
  /** Ids of builds that were acknowledged and have not been checked yet. */
  readonly open: Set<string>;
  /** Ends what still waits for its build. */
  readonly giveUp: AbortSignal;
};

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
  const giveUp = new AbortController();
  const faults: FaultRecord[] = [];
  const run: Run = {
    options,
    env,
    yard,
    endpoints,
    originMs: systemClock.monotonic(),
    faults,
    amnesia: amnesiaOf({ faults, termTtlMs, clock: systemClock }),
    submittedAt: new Map(),
    violations: [],
    tally: openTally(),
    recovery: openRecovery(),
    open: new Set(),
    giveUp: AbortSignal.any([giveUp.signal, env.signal]),
  };
  using _progress = sayProgress(run);
  const schedule = planFaults(prngFrom(options.seed), {
    kinds: usable(options),
    durationMs: options.durationMs,
    everyMs: options.everyMs,
    leaseTtlMs,
    termTtlMs,
  });
  const [load, leftOut] = await Promise.all([driveLoad(run, witnessDir), breakThings(run, schedule)]);
  env.say(`load and faults are over; ${run.open.size} builds are still open`);
  const patience = setTimeout(() => giveUp.abort(), 60_000 + 4 * leaseTtlMs);
  await Promise.all(load.builds);
  clearTimeout(patience);
  for (const id of run.open)
    run.violations.push({ invariant: 'kept', where: id, what: 'has not ended, long after all faults were healed' });
  await checkStill(run);
  // The last words of the agents are about what they were answered.
  await sleep(500);
  const evidence = checkJournals(run, witnessDir);
  return reportOf(run, { startedAt, evidence, faultsLeftOut: leftOut, heldBack: load.heldBack });
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

async function allAgentsAre(endpoints: Endpoints, count: number, signal: AbortSignal): Promise<void> {
  for (;;) {
    const { agents } = await endpoints.call((server, one) => server.agents(one), signal);
    if (agents.filter(({ connected }) => connected).length >= count) return;
    await sleep(100, undefined, { signal });
  }
}

/** Submits builds at a constant rate of steps; resolves when the time is over, with what still goes on. */
async function driveLoad(run: Run, witnessDir: string): Promise<{ readonly builds: readonly Promise<void>[]; readonly heldBack: number }> {
  const { options, env, originMs } = run;
  const open = new Set<Promise<void>>();
  let heldBack = 0;
  let steps = 0;
  for (let index = 0; ; index += 1) {
    const planned = planBuild(index, { seed: options.seed, witnessDir });
    const dueMs = (steps / options.rate) * 1_000;
    steps += planned.steps.length;
    if (dueMs > options.durationMs || !(await reached(originMs, dueMs, env.signal))) break;
    // A build has four or five steps.
    for (let waited = false; open.size > Math.max(10, (OPEN_SECONDS_MAX * options.rate) / 4); waited = true) {
      if (!waited) heldBack += 1;
      await Promise.race(open);
    }
    const build: Promise<void> = followBuild(run, planned).finally(() => open.delete(build));
    open.add(build);
  }
  return { builds: [...open], heldBack };
}

async function followBuild(run: Run, planned: ReturnType<typeof planBuild>): Promise<void> {
  const { endpoints, recovery, options, amnesia, submittedAt } = run;
  let id: string | undefined;
  submittedAt.set(planned.key, systemClock.now());
  try {
    const observed = await runBuild(planned, {
      endpoints,
      prng: prngFrom(options.seed * 7 + planned.steps.length),
      onEvent: (build, event) => recovery.onEvent(build, event),
      onAcknowledged(build) {
        if (id !== undefined && id !== build) {
          run.open.delete(id);
          run.tally.madeAgain += 1;
        }
        if (!submittedAt.has(build)) submittedAt.set(build, systemClock.now());
        id = build;
        run.open.add(build);
      },
      amnesia,
      signal: run.giveUp,
    });
    const aftermathMs = 1.5 * options.leaseTtlMs + 5_000;
    for (const violation of checkBuild(observed, { faults: run.faults, aftermathMs })) tell(run, violation);
    run.tally.add(observed);
    run.open.delete(observed.id);
  } catch (error) {
    if (run.giveUp.aborted) return;
    const what = `the client was told: ${reasonOf(error)}`;
    tell(run, { invariant: 'kept', where: id ?? planned.key, what });
    if (id !== undefined) run.open.delete(id);
  }
}

function tell(run: Run, violation: Violation): void {
  run.violations.push(violation);
  run.env.say(`BROKEN ${violation.invariant}: ${violation.where} ${violation.what}`);
}

/** Injects and heals what the schedule says; heals everything when the time is over. Returns how many were left out. */
async function breakThings(run: Run, schedule: ReturnType<typeof planFaults>): Promise<number> {
  const { env, originMs, options, yard } = run;
  const held = new Set<string>();
  const healing: Promise<void>[] = [];
  let leftOut = 0;
  for (const fault of schedule) {
    if (!(await reached(originMs, fault.atMs, env.signal))) break;
    const leader = () => leaderOf(yard);
    const injected = await inject(fault, { yard, leaseTtlMs: options.leaseTtlMs, leader, held }).catch((error: unknown) => {
      env.say(`${fault.kind} is left out: ${String(error)}`);
      return undefined;
    });
    if (injected === undefined) {
      leftOut += 1;
      continue;
    }
    held.add(injected.holds);
    run.faults.push(injected.record);
    run.recovery.onFault(injected.record);
    healing.push(healLater(run, injected, fault.atMs + fault.forMs).finally(() => held.delete(injected.holds)));
  }
  await Promise.all(healing);
  return leftOut;
}

async function healLater(run: Run, injected: Injected, atMs: number): Promise<void> {
  await reached(run.originMs, Math.min(atMs, run.options.durationMs), run.env.signal);
  for (let tries = 1; ; tries += 1) {
    try {
      await injected.heal();
      break;
    } catch (error) {
      run.env.say(`${injected.record.kind} is not healed yet: ${String(error)}`);
      if (tries >= HEALING_TRIES || run.env.signal.aborted) throw error;
      await sleep(1_000);
    }
  }
  run.recovery.onHeal(injected.record);
}

/** Ended builds are as they ended, whoever is asked. Those that may have left the ledger for the archive are not asked for. */
async function checkStill(run: Run): Promise<void> {
  // What had ended before the ledger lost its memory may be forgotten, or may have had to end again.
  const oldestMs = Math.max(systemClock.now() - RETENTION_MS / 2, run.amnesia.overMs);
  for (const [id, fingerprint] of run.tally.ended) {
    if ((run.tally.endedAt.get(id) ?? 0) < oldestMs) continue;
    try {
      const snapshot = await run.endpoints.call(
        (server, signal) => server.snapshot(id, signal),
        AbortSignal.any([run.env.signal, AbortSignal.timeout(30_000)]),
      );
      if (fingerprintOf(snapshot) !== fingerprint) tell(run, { invariant: 'kept', where: id, what: 'is not as it was when it had ended' });
    } catch (error) {
      tell(run, {
        invariant: 'kept',
        where: id,
        what: `cannot be read any more: ${reasonOf(error)}`,
      });
    }
  }
}

function checkJournals(run: Run, witnessDir: string): { readonly journalLines: number; readonly witnessedStarts: number } {
  const journals = run.yard.agents.map(({ name, workDir }) => ({ agent: name, lines: readAgentJournal(workDir) }));
  const linesOf = (name: string) => {
    const path = join(witnessDir, name);
    return existsSync(path) ? readFileSync(path, 'utf8').split('\n') : [];
  };
  const tags = (name: string, word: string) => linesOf(name).flatMap((line) => (line.startsWith(word) ? [line.slice(word.length)] : []));
  const witness: Witness = { starts: tags('starts', 'start '), overlaps: tags('overlaps', 'overlap ') };
  const { overMs } = run.amnesia;
  // Attempts that nobody remembers may still be ending beside those of builds that were there before, or were made again.
  const remembered = ({ where }: Violation) => (run.submittedAt.get(where.split('/')[0] ?? '') ?? 0) >= overMs;
  for (const violation of [
    ...checkFenced(journals, run.tally.ledgerAttempts, overMs),
    ...[...checkAlone(journals), ...checkWitness(witness, run.tally.effects)].filter(remembered),
  ])
    tell(run, violation);
  return { journalLines: journals.reduce((sum, { lines }) => sum + lines.length, 0), witnessedStarts: witness.starts.length };
}

function sayProgress(run: Run): Disposable {
  const timer = setInterval(() => {
    const minutes = Math.round((systemClock.monotonic() - run.originMs) / 60_000);
    const { tally, faults, violations, open, yard } = run;
    const falls = [...yard.coordinators, ...yard.agents].reduce((sum, member) => sum + member.falls.length, 0);
    const counts = `${tally.builds} builds, ${tally.attempts} attempts, ${open.size} open, ${faults.length} faults`;
    run.env.say(`${minutes} min: ${counts}, ${falls} processes ended by themselves, ${violations.length} violations`);
  }, PROGRESS_EVERY_MS);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

type ReportFacts = {
  readonly startedAt: number;
  readonly faultsLeftOut: number;
  readonly heldBack: number;
  readonly evidence: { readonly journalLines: number; readonly witnessedStarts: number };
};

function reportOf(run: Run, more: ReportFacts): ChaosReport {
  const { options, env, tally, recovery, yard } = run;
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
