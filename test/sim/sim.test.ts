import { describe, expect, it } from 'vitest';
import { MUTATIONS } from './mutations.ts';
import { REGRESSIONS } from './regressions.ts';
import { simulate, textOf, type Report } from './simulation.ts';
import { Violation } from './world.ts';

/** Seeds of the ordinary runs; each batch is one test, so that a failure names its neighbourhood. */
const SEEDS = 160;
const BATCH = 40;
const STEPS = 40;
/** Runs within which a mutation must have been noticed. */
const MUTATION_SEEDS = 60;

/** What went wrong, as text that leads to the same run again. */
function failureOf(report: Report, steps: number): string | undefined {
  if (report.failure === undefined) return undefined;
  return `${report.lastLines.slice(-30).join('\n')}\n${textOf(report.failure)}\nAgain: npm run sim -- --seed ${report.seed} --steps ${steps}`;
}

describe('the simulated yard', () => {
  const batches = Array.from({ length: SEEDS / BATCH }, (_, index) => 1 + index * BATCH);
  it.for(batches)(`keeps every invariant in ${BATCH} runs from seed %i on`, async (first) => {
    for (let seed = first; seed < first + BATCH; seed += 1) {
      expect(failureOf(await simulate({ seed, steps: STEPS }), STEPS)).toBeUndefined();
    }
  });

  it.for(REGRESSIONS)('keeps every invariant with seed $seed again: $note', async ({ seed, steps }) => {
    expect(failureOf(await simulate({ seed, steps }), steps)).toBeUndefined();
  });

  it('does the same again with the same seed', async () => {
    const [first, second] = [await simulate({ seed: 3, steps: STEPS }), await simulate({ seed: 3, steps: STEPS })];
    expect(second).toEqual(first);
    expect(first.events).toBeGreaterThan(200);
  });
});

describe('a yard that is broken on purpose', () => {
  it.for(MUTATIONS)('is noticed by the checker of $invariant: $about', async (mutation) => {
    for (let seed = 1; seed <= MUTATION_SEEDS; seed += 1) {
      const { failure } = await simulate({ seed, steps: STEPS, mutation, only: mutation.invariant });
      if (failure instanceof Violation && failure.invariant === mutation.invariant) return;
    }
    expect.unreachable(`no run of ${MUTATION_SEEDS} noticed it`);
  });
});
