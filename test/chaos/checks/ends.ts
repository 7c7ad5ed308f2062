import type { StepView } from '../../../cli/build-view.ts';
import type { ObservedBuild, Violation } from '../observation.ts';
import type { ExpectedStep } from '../workload.ts';

/** Steps end as their commands do. Errors are left to `checkLosses`; here it counts that there were enough of them. */
export function checkEnds({ id, planned, snapshot }: ObservedBuild): readonly Violation[] {
  if (snapshot === undefined) return [];
  const steps = new Map(snapshot.steps.map((step) => [step.name, step]));
  const violation = (where: string, what: string): Violation => ({ invariant: 'ends', where, what });
  const violations = planned.steps.flatMap((wanted) => {
    const step = steps.get(wanted.name);
    if (step === undefined) return [];
    const needed = wanted.needs.map((name) => steps.get(name)?.verdict);
    const problem = problemOf(
      wanted,
      step,
      needed.every((verdict) => verdict === 'succeeded'),
    );
    return problem === undefined ? [] : [violation(`${id}/${wanted.name}`, problem)];
  });
  const bad = planned.steps.find(({ name, critical }) => critical && FATAL.has(steps.get(name)?.verdict ?? ''));
  const good = snapshot.steps.every(({ verdict }) => verdict === 'succeeded');
  const { verdict } = snapshot.build;
  if (bad !== undefined && verdict !== 'failed')
    violations.push(violation(id, `is ${verdict}, though its critical step ${bad.name} is not`));
  if (good && verdict !== 'succeeded') violations.push(violation(id, `is ${verdict}, though all its steps succeeded`));
  return violations;
}

const FATAL: ReadonlySet<string> = new Set(['failed', 'errored', 'quarantined']);
/** Ends by errors that a step without side effects gets over, at the least of all classes; and lost agents before it is set aside. */
const ERRORS_BORNE = 3;
const AGENTS_TO_QUARANTINE = 3;

function problemOf({ kind }: ExpectedStep, step: StepView, runnable: boolean): string | undefined {
  const { verdict, attempts, result } = step;
  if (!runnable) return verdict === 'skipped' ? undefined : `is ${verdict}, though a step that it needs did not succeed`;
  const errors = attempts.filter(({ endedWhy }) => endedWhy !== 'succeeded').length;
  switch (verdict) {
    case 'succeeded':
      if (kind === 'failing') return 'succeeded, though its command ends with code 3';
      return result?.exitCode === 0 ? undefined : `succeeded with code ${result?.exitCode}`;
    case 'failed':
      if (kind !== 'failing') return `failed, though its command does not: ${step.message}`;
      return result?.exitCode === 3 ? undefined : `failed with code ${result?.exitCode}, not 3`;
    case 'errored':
      if (kind === 'effect' ? errors >= 1 : errors > ERRORS_BORNE) return undefined;
      return `was given up after ${errors} errors: ${step.message}`;
    case 'quarantined':
      return errors >= AGENTS_TO_QUARANTINE ? undefined : `was set aside after ${errors} errors`;
    case 'skipped':
      return 'was skipped, though all that it needs succeeded';
    case 'timed-out':
    case 'cancelled':
    case undefined:
      return `is ${verdict ?? 'without an end'}, which nobody asked for`;
  }
}
