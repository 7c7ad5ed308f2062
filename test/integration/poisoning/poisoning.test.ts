import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { histories, historiesOf, influences, observers, perform, type Op } from './history.ts';
import { PLANTS } from './plants.ts';
import { influencesOf, openWorld, SCOPES, type Scope, type World } from './world.ts';

/*
 * What a reader sees depends on nothing that was done without the rights of its own scope or of one above it: not on blobs, results and
 * existence, not on forgeries, floods and grants of others. So a history, and the same history without the others, look the same.
 */

let runs = 0;

async function differs(world: World, history: readonly Op[], observer: Scope): Promise<readonly [unknown, unknown]> {
  runs += 2;
  const whole = await perform(world, history, observer, SCOPES, `run ${runs}`);
  const alone = await perform(world, influences(history, observer), observer, influencesOf(observer), `run ${runs + 1}`);
  return [whole, alone];
}

test('nothing that an untrusted writer does changes what a trusted reader sees', { timeout: 300_000 }, async () => {
  await using world = await openWorld();
  await fc.assert(
    fc.asyncProperty(histories, observers, async (history, observer) => {
      const [whole, alone] = await differs(world, history, observer);
      expect(whole).toEqual(alone);
    }),
    { numRuns: 40 },
  );
});

/** Where the usual seed takes long to find the fault. */
const SEEDS: Readonly<Record<string, number>> = { 'a grant outlives its attempt': 7 };

describe('the same property finds out that', () => {
  test.for(Object.entries(PLANTS))('%s', { timeout: 300_000 }, async ([name, plant]) => {
    await using world = await openWorld({ plant });
    const found = await fc.check(
      fc.asyncProperty(historiesOf(name.includes('flood')), observers, async (history, observer) => {
        const [whole, alone] = await differs(world, history, observer);
        return JSON.stringify(whole) === JSON.stringify(alone);
      }),
      { numRuns: 400, seed: SEEDS[name] ?? 1, endOnFailure: true },
    );
    expect(found.failed).toBe(true);
  });
});
