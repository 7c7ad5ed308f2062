import { describe, expect, test } from 'vitest';
import { Violation } from './checker.ts';
import { MUTATIONS } from './mutations.ts';
import { simulateGc, type GcReport } from './simulation.ts';

const SEEDS = 16;
const BATCH = 8;
/** Runs within which a mutation must have been noticed. */
const MUTATION_SEEDS = 120;

function failureOf({ seed, failure }: GcReport): string | undefined {
  return failure === undefined ? undefined : `${failure.stack ?? failure.message}\nAgain: npm run sim -- gc --seed ${seed}`;
}

describe('collecting garbage in a simulated yard', () => {
  const batches = Array.from({ length: SEEDS / BATCH }, (_, index) => 1 + index * BATCH);
  test.for(batches)(`keeps every promise in ${BATCH} runs from seed %i on`, async (first) => {
    for (let seed = first; seed < first + BATCH; seed += 1) expect(failureOf(await simulateGc({ seed }))).toBeUndefined();
  });

  test('does the same again with the same seed, and does much', async () => {
    const [first, second] = [await simulateGc({ seed: 3 }), await simulateGc({ seed: 3 })];
    expect(second).toEqual(first);
    expect(first.turns).toBeGreaterThan(2_000);
  });
});

describe('a collection that is broken on purpose is noticed', () => {
  test.for(MUTATIONS)('$about', async ({ invariants, mutation }) => {
    for (let seed = 1; seed <= MUTATION_SEEDS; seed += 1) {
      const { failure } = await simulateGc({ seed, mutation });
      if (failure instanceof Violation && invariants.includes(failure.invariant)) return;
      if (failure !== undefined) throw failure;
    }
    expect.unreachable(`no run of ${MUTATION_SEEDS} noticed it`);
  });
});
