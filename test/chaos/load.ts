import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '../../base/clock.ts';
import { prngFrom } from '../../base/prng.ts';
import { reasonOf } from '../../base/thrown.ts';
import { readAgentJournal } from '../fixtures/agent-journal.ts';
import { amnesiaOf, type Amnesia } from './amnesia.ts';
import { checkAlone, checkFenced, checkWitness, type Witness } from './checks/journals.ts';
import { runBuild } from './client.ts';
import type { Endpoints } from './endpoints.ts';
import type { FaultRecord } from './fault.ts';
import { reached } from './inject.ts';
import type { ObservedBuild, Violation } from './observation.ts';
import { openRecovery, type Recovery } from './recovery.ts';
import { checkBuild, fingerprintOf, openTally, type Tally } from './tally.ts';
import type { PlannedBuild } from './workload.ts';

export type ChaosEnv = {
  /** A new directory for everything. */
  readonly dir: string;
  readonly commit: string;
  readonly say: (line: string) => void;
  readonly signal: AbortSignal;
};

/** What is known of a run beforehand. */
export type RunPlan = {
  readonly options: {
    readonly seed: number;
    /** Steps submitted per second. */
    readonly rate: number;
    /** Of the load. */
    readonly durationMs: number;
    readonly leaseTtlMs: number;
    readonly termTtlMs: number;
  };
  readonly env: ChaosEnv;
  /** Whose journals are read at the end. */
  readonly agents: readonly { readonly name: string; readonly workDir: string }[];
  readonly endpoints: Endpoints;
  /** Where steps write down that they were started. */
  readonly witnessDir: string;
  /** Sees each build that has ended, after the checks. @default nothing */
  readonly onObserved?: (observed: ObservedBuild) => void;
  /** Hears at once of what should never be seen. @default says so */
  readonly onViolation?: (violation: Violation) => void;
};

/** What all parts of a run share. */
export type Run = Required<RunPlan> & {
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
  readonly giveUp: AbortController;
};

/** Builds that are open at most, in seconds of load: more of it waits, so that an outage does not end in a flood. */
const OPEN_SECONDS_MAX = 60;
/** Ended builds stay for so long. */
export const RETENTION_MS = 20 * 60_000;

/** The time of the run begins now. */
export function openRun(plan: RunPlan): Run {
  const faults: FaultRecord[] = [];
  return {
    onObserved: () => {},
    onViolation: ({ invariant, where, what }) => plan.env.say(`BROKEN ${invariant}: ${where} ${what}`),
    ...plan,
    originMs: systemClock.monotonic(),
    faults,
    amnesia: amnesiaOf({ faults, termTtlMs: plan.options.termTtlMs, clock: systemClock }),
    submittedAt: new Map(),
    violations: [],
    tally: openTally(),
    recovery: openRecovery(),
    open: new Set(),
    giveUp: new AbortController(),
  };
}

export type AfterLoad = {
  /** Times at which the load was held back because too many builds were open. */
  readonly heldBack: number;
  /** Faults of the schedule that had no target left. */
  readonly faultsLeftOut: number;
  readonly evidence: { readonly journalLines: number; readonly witnessedStarts: number };
};

/** Load and faults, then the end of all builds, and the last checks. `breakThings` answers how many faults were left out. */
export async function runUnderLoad(
  run: Run,
  parts: { readonly plan: (index: number) => PlannedBuild; readonly breakThings: () => Promise<number> },
): Promise<AfterLoad> {
  const { env, options, giveUp } = run;
  const [load, faultsLeftOut] = await Promise.all([driveLoad(run, parts.plan), parts.breakThings()]);
  env.say(`load and faults are over; ${run.open.size} builds are still open`);
  const patience = setTimeout(() => giveUp.abort(), 60_000 + 4 * options.leaseTtlMs);
  await Promise.all(load.builds);
  clearTimeout(patience);
  for (const id of run.open) tell(run, { invariant: 'kept', where: id, what: 'has not ended, long after all faults were healed' });
  await checkStill(run);
  // The last words of the agents are about what they were answered.
  await sleep(500);
  return { heldBack: load.heldBack, faultsLeftOut, evidence: checkJournals(run) };
}

/** Submits builds at a constant rate of steps; resolves when the time is over, with what still goes on. */
async function driveLoad(
  run: Run,
  plan: (index: number) => PlannedBuild,
): Promise<{ readonly builds: readonly Promise<void>[]; readonly heldBack: number }> {
  const { options, env, originMs } = run;
  const open = new Set<Promise<void>>();
  let heldBack = 0;
  let steps = 0;
  for (let index = 0; ; index += 1) {
    const planned = plan(index);
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

async function followBuild(run: Run, planned: PlannedBuild): Promise<void> {
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
      signal: AbortSignal.any([run.giveUp.signal, run.env.signal]),
    });
    const aftermathMs = 1.5 * options.leaseTtlMs + 5_000;
    for (const violation of checkBuild(observed, { faults: run.faults, aftermathMs })) tell(run, violation);
    run.onObserved(observed);
    run.tally.add(observed);
    run.open.delete(observed.id);
  } catch (error) {
    if (run.giveUp.signal.aborted || run.env.signal.aborted) return;
    const what = `the client was told: ${reasonOf(error)}`;
    tell(run, { invariant: 'kept', where: id ?? planned.key, what });
    if (id !== undefined) run.open.delete(id);
  }
}

/** Notes what should never be seen. */
export function tell(run: Run, violation: Violation): void {
  run.violations.push(violation);
  run.onViolation(violation);
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

function checkJournals(run: Run): { readonly journalLines: number; readonly witnessedStarts: number } {
  const journals = run.agents.map(({ name, workDir }) => ({ agent: name, lines: readAgentJournal(workDir) }));
  const linesOf = (name: string) => {
    const path = join(run.witnessDir, name);
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
