import { EMPTY_DIGEST } from '../../../cache/digest.ts';
import type { StepResult } from '../../../cache/action/result.ts';
import type { ObservedBuild, Violation } from '../observation.ts';
import type { ExpectedStep } from '../workload.ts';

/** Logs and outputs are those that the commands make, byte by byte, in the result and as readers get them. */
export function checkBytes({ id, planned, snapshot, logs }: ObservedBuild): readonly Violation[] {
  if (snapshot === undefined) return [];
  const expected = new Map(planned.steps.map((step) => [step.name, step]));
  return snapshot.steps.flatMap((step) => {
    const wanted = expected.get(step.name);
    const complete = step.verdict === 'succeeded' || step.verdict === 'failed';
    if (wanted === undefined || !complete) return [];
    const violation = (what: string): Violation => ({ invariant: 'bytes', where: `${id}/${step.name}`, what });
    if (step.result === undefined) return [violation(`${step.verdict} without a result`)];
    const reused = step.source === 'cache' || step.source === 'merge';
    return problemsOf(wanted, { ...step.result, reused }, logs.get(step.name)).map(violation);
  });
}

type Result = StepResult & { readonly reused: boolean };

function problemsOf(wanted: ExpectedStep, result: Result, read: string | undefined): readonly string[] {
  const problems: string[] = [];
  // The end of an attempt may have been reported while the store took no log: readers get it all the same. What is used again has its log.
  const log = result.log?.digest ?? (result.reused ? EMPTY_DIGEST : wanted.log);
  if (log !== wanted.log) problems.push(`its log is ${log}, and should be ${wanted.log}`);
  if (read !== wanted.log) problems.push(`a reader of its log got ${read ?? 'nothing'}, and should get ${wanted.log}`);
  const paths = result.outputs.map(({ path }) => path).toSorted();
  const wantedPaths = [...wanted.outputs.keys()].toSorted();
  if (paths.join(' ') !== wantedPaths.join(' ')) problems.push(`its outputs are [${paths.join(', ')}], not [${wantedPaths.join(', ')}]`);
  for (const output of result.outputs) {
    const digest = wanted.outputs.get(output.path);
    if (digest === undefined) continue;
    if (output.kind !== 'file') problems.push(`${output.path} is a ${output.kind}`);
    else if (output.digest !== digest) problems.push(`${output.path} is ${output.digest}, and should be ${digest}`);
  }
  return problems;
}
