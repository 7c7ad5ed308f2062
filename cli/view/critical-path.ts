import { formatTime } from './format.ts';
import { timeOf, type StepProgress } from './model.ts';

export type CriticalPath = {
  /** `timeMs` counts from when the step was ready, `ranMs` is what its last attempt ran of it. */
  readonly steps: readonly { readonly name: string; readonly timeMs: number; readonly ranMs: number }[];
  /** From when the first of them was ready to when the last had ended. */
  readonly totalMs: number;
};

/**
 * The chain of steps that decided when the build ended: from the last to end back through the need that each one waited
 * for longest. Time is counted from when a step was ready, so that waiting for an agent shows too. With `nowMs`, steps that
 * are under way count as if they ended now. Undefined where there is no step to begin with.
 */
export function criticalPath(steps: readonly StepProgress[], nowMs?: number): CriticalPath | undefined {
  const endOf = (step: StepProgress) => step.endedAtMs ?? (step.readyAtMs === undefined ? undefined : nowMs);
  const begun = new Map(steps.filter((step) => endOf(step) !== undefined && step.verdict !== 'skipped').map((step) => [step.name, step]));
  const latest = (names: Iterable<string>): StepProgress | undefined => {
    let found: StepProgress | undefined;
    for (const name of names) {
      const step = begun.get(name);
      if (step !== undefined && (found === undefined || (endOf(step) ?? 0) > (endOf(found) ?? 0))) found = step;
    }
    return found;
  };
  const chain: StepProgress[] = [];
  const seen = new Set<string>();
  for (let step = latest(begun.keys()); step !== undefined && !seen.has(step.name); step = latest(step.needs)) {
    seen.add(step.name);
    chain.unshift(step);
  }
  const [first] = chain;
  if (first === undefined) return undefined;
  const begin = (step: StepProgress) => step.readyAtMs ?? step.startedAtMs ?? step.endedAtMs ?? 0;
  return {
    steps: chain.map((step) => {
      const end = endOf(step) ?? 0;
      return { name: step.name, timeMs: Math.max(0, end - begin(step)), ranMs: Math.max(0, timeOf(step, end) ?? 0) };
    }),
    totalMs: Math.max(0, (endOf(chain.at(-1) ?? first) ?? 0) - begin(first)),
  };
}

/** Time before its last attempt that is worth telling. */
const WAITED_MS = 500;

/** `a (2.1s) → b (10.5s, of which it ran 0.2s)`; steps that took next to nothing are left out. */
export function criticalPathText(path: CriticalPath): string {
  const steps = path.steps.filter((step) => step.timeMs >= 10);
  const text = steps.map(({ name, timeMs, ranMs }) => {
    const waited = timeMs - ranMs;
    if (waited < WAITED_MS || waited < ranMs / 10) return `${name} (${formatTime(timeMs)})`;
    return ranMs === 0
      ? `${name} (${formatTime(timeMs)} without running)`
      : `${name} (${formatTime(timeMs)}, of which it ran ${formatTime(ranMs)})`;
  });
  return text.join(' → ');
}
