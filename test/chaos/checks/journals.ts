import type { JournalLine } from '../../fixtures/agent-journal.ts';
import type { Violation } from '../observation.ts';

/** What the ledger says of one attempt of a step that has ended. */
export type LedgerAttempt = {
  /** `<build>/<step>`. */
  readonly step: string;
  readonly agent: string;
  readonly accepted: boolean;
  readonly log: string | undefined;
};

export type AgentJournal = { readonly agent: string; readonly lines: readonly JournalLine[] };

/**
 * A result is accepted under the current token, from the agent that holds it: the agent that the ledger names has noted that
 * it finished that attempt with that log, and no agent was told that another success of the step was accepted.
 * Acceptances before `forgottenMs` (wall clock) may have been forgotten by the ledger since.
 */
export function checkFenced(
  journals: readonly AgentJournal[],
  attempts: ReadonlyMap<string, LedgerAttempt>,
  forgottenMs = 0,
): readonly Violation[] {
  const violations: Violation[] = [];
  const noted = new Map<string, { readonly agent: string; readonly as: string; readonly log: string | undefined }>();
  const answered = new Map<string, { readonly verdict: string; readonly atMs: number }>();
  for (const { agent, lines } of journals) {
    for (const line of lines) {
      if (line.event === 'finished') noted.set(line.token, { agent, as: line.as, log: line.log });
      if (line.event === 'answered') answered.set(line.token, { verdict: line.verdict, atMs: line.atMs });
    }
  }
  const whole = wholeLives(journals);
  for (const [token, { step, agent, accepted, log }] of attempts) {
    const note = noted.get(token);
    const violation = (what: string) => violations.push({ invariant: 'fenced', where: step, what: `${what} (token ${token})` });
    if (accepted && note === undefined && whole.has(agent)) violation(`was accepted from ${agent}, which has not finished it`);
    if (accepted && note !== undefined && note.agent !== agent) violation(`was accepted from ${agent}, and ${note.agent} finished it`);
    if (accepted && note !== undefined && note.log !== log) violation(`has the log ${log}, and ${agent} made ${note.log}`);
    const { verdict, atMs = 0 } = answered.get(token) ?? {};
    if (accepted && verdict === 'fenced') violation(`counts in the ledger, and ${agent} was told that it is fenced`);
    const counted = verdict === 'accepted' || verdict === 'already-accepted';
    if (!accepted && note?.as === 'succeeded' && counted && atMs > forgottenMs)
      violation(`does not count in the ledger, and ${note.agent} was told "${verdict}"`);
  }
  return violations;
}

/** Agents whose journal has not been cut at its beginning. */
function wholeLives(journals: readonly AgentJournal[]): ReadonlySet<string> {
  return new Set(journals.filter(({ lines }) => lines[0]?.event === 'boot').map(({ agent }) => agent));
}

/** No two attempts of a step with side effects overlap in the agents' own words. */
export function checkAlone(journals: readonly AgentJournal[]): readonly Violation[] {
  const runs = new Map<string, Run[]>();
  for (const { agent, lines } of journals) collectRuns(agent, lines, runs);
  return [...runs].flatMap(([step, all]): Violation[] => {
    const sorted = all.toSorted((left, right) => left.fromMs - right.fromMs);
    return sorted.slice(1).flatMap((run, index) => {
      const before = sorted[index];
      if (before === undefined || before.toMs <= run.fromMs) return [];
      const what = `ran on ${before.agent} until ${before.toMs} and on ${run.agent} from ${run.fromMs}`;
      return [{ invariant: 'alone', where: step, what }];
    });
  });
}

type Run = { readonly agent: string; readonly fromMs: number; readonly toMs: number };

/** A run lasts from its start to its exit; where the agent died with it, to the last thing that this life noted. */
function collectRuns(agent: string, lines: readonly JournalLine[], runs: Map<string, Run[]>): void {
  const steps = new Map<string, string>();
  const open = new Map<string, { readonly fromMs: number; readonly boot: string }>();
  const lastOf = new Map<string, number>();
  const close = (token: string, toMs: number) => {
    const began = open.get(token);
    const step = steps.get(token);
    open.delete(token);
    if (began !== undefined && step !== undefined) runs.set(step, [...(runs.get(step) ?? []), { agent, fromMs: began.fromMs, toMs }]);
  };
  for (const line of lines) {
    if (line.event === 'accepted' && line.sideEffects) steps.set(line.token, `${line.build}/${line.step}`);
    if (line.event === 'started' && steps.has(line.token)) open.set(line.token, { fromMs: line.atMs, boot: line.boot });
    if (line.event === 'exited' || line.event === 'finished') close(line.token, line.atMs);
    lastOf.set(line.boot, line.atMs);
  }
  for (const [token, { boot }] of open) close(token, lastOf.get(boot) ?? 0);
}

/** What steps wrote down themselves, outside of our reach. */
export type Witness = {
  /** Tags, `<key>/<step>`, one for each time that the command was started. */
  readonly starts: readonly string[];
  readonly overlaps: readonly string[];
};

/** A step with side effects is never started while it still runs, and never without an attempt that the ledger knows. */
export function checkWitness(witness: Witness, attemptsOfEffects: ReadonlyMap<string, number>): readonly Violation[] {
  const violations = witness.overlaps.map((where): Violation => ({
    invariant: 'alone',
    where,
    what: 'was started while it was still running',
  }));
  const starts = new Map<string, number>();
  for (const tag of witness.starts) starts.set(tag, (starts.get(tag) ?? 0) + 1);
  for (const [tag, attempts] of attemptsOfEffects) {
    const count = starts.get(tag) ?? 0;
    if (count <= attempts) continue;
    violations.push({ invariant: 'alone', where: tag, what: `was started ${count} times, and the ledger has ${attempts} attempts` });
  }
  return violations;
}
