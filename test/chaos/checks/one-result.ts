import type { BuildEvent, StepView } from '../../../cli/build-view.ts';
import type { ObservedBuild, Violation } from '../observation.ts';

/** Every step has ended once, with one accepted result, which is the one that everybody is shown. */
export function checkOneResult({ id, snapshot, history }: ObservedBuild): readonly Violation[] {
  if (snapshot === undefined || history === undefined) return [];
  return snapshot.steps.flatMap((step) => {
    const violation = (what: string): Violation => ({ invariant: 'one-result', where: `${id}/${step.name}`, what });
    return problemsOf(step, history).map(violation);
  });
}

function problemsOf(step: StepView, history: readonly BuildEvent[]): readonly string[] {
  const ends = history.filter((event) => event.kind === 'step-ended' && event.step === step.name);
  const [end] = ends;
  if (end === undefined || ends.length > 1) return [`its history tells of ${ends.length} ends`];
  if (end.kind !== 'step-ended') return [];
  const problems: string[] = [];
  if (end.verdict !== step.verdict) problems.push(`ended as ${end.verdict} in the history and as ${step.verdict} in the ledger`);
  if (JSON.stringify(end.result) !== JSON.stringify(step.result))
    problems.push('has one result in the history and another one in the ledger');
  const succeeded = step.attempts.filter(({ endedWhy }) => endedWhy === 'succeeded');
  if (succeeded.length > 1) problems.push(`${succeeded.length} attempts were accepted as successes`);
  const [accepted] = succeeded;
  if (step.source === 'run' && step.verdict === 'succeeded') {
    if (accepted === undefined) problems.push('succeeded by running, and no attempt of it did');
    else if (accepted !== step.attempts.at(-1)) problems.push(`attempt ${accepted.number} succeeded, and it was tried again`);
    else if (accepted.agent !== step.result?.agent) problems.push(`attempt on ${accepted.agent}, result from ${step.result?.agent}`);
  }
  const open = step.attempts.filter(({ endedAtMs }) => endedAtMs === undefined);
  if (open.length > 0) problems.push(`attempt ${open.map(({ number }) => number).join(', ')} has not ended, though the step has`);
  return problems;
}
