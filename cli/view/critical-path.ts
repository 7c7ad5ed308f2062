import type { StepProgress } from './model.ts';

export type CriticalPath = {
  readonly steps: readonly { readonly name: string; readonly timeMs: number }[];
  /** From when the first of them was ready to when the last had ended. */
  readonly totalMs: number;
};

/**
 * The chain of steps that decided when the build ended: from the last to end back through the need that each one waited
 * for longest. Time is counted from when a step was ready, so that waiting for an agent shows too. Undefined before any ended.
 */
export function criticalPath(steps: readonly StepProgress[]): CriticalPath | undefined {
  const ended = new Map(
    steps.filter((step) => step.endedAtMs !== undefined && step.verdict !== 'skipped').map((step) => [step.name, step]),
  );
  const latest = (names: Iterable<string>): StepProgress | undefined => {
    let found: StepProgress | undefined;
    for (const name of names) {
      const step = ended.get(name);
      if (step !== undefined && (found === undefined || (step.endedAtMs ?? 0) > (found.endedAtMs ?? 0))) found = step;
    }
    return found;
  };
  const chain: StepProgress[] = [];
  const seen = new Set<string>();
  for (let step = latest(ended.keys()); step !== undefined && !seen.has(step.name); step = latest(step.needs)) {
    seen.add(step.name);
    chain.unshift(step);
  }
  const [first] = chain;
  if (first === undefined) return undefined;
  const begin = (step: StepProgress) => step.readyAtMs ?? step.startedAtMs ?? step.endedAtMs ?? 0;
  return {
    steps: chain.map((step) => ({ name: step.name, timeMs: Math.max(0, (step.endedAtMs ?? 0) - begin(step)) })),
    totalMs: Math.max(0, (chain.at(-1)?.endedAtMs ?? 0) - begin(first)),
  };
}
