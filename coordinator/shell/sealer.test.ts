import { expect, test } from 'vitest';
import { memoryLogger } from '../../base/log.ts';
import type { Event } from '../core/event.ts';
import type { StepId } from '../core/ids.ts';
import { stepId } from '../../test/scenarios/stage.ts';
import { until } from '../../test/fixtures/until.ts';
import { openSealer, type StagingNow } from './sealer.ts';

const [one, two] = [stepId('b1/one'), stepId('b1/two')];
const EMPTY: StagingNow = { blobs: 0, away: undefined };

/** A data plane of whose disk and store the test says what is there. */
function rig(looksMax = 100) {
  const there = new Set<StepId>();
  const posted: Event[] = [];
  const seen: { staging: StagingNow; looks: number; onLook: () => void } = { staging: EMPTY, looks: 0, onLook: () => {} };
  const log = memoryLogger();
  const sealer = openSealer({
    staging: () => Promise.resolve(seen.staging),
    isThere: (step) => {
      seen.looks += 1;
      seen.onLook();
      return Promise.resolve(there.has(step));
    },
    post: (event) => posted.push(event),
    log,
    prng: { next: () => 0, below: () => 0 },
    looksMax,
  });
  const sealed = () => posted.flatMap((event) => (event.kind === 'step-sealed' ? [event.step] : []));
  return { there, seen, sealed, sealer, log, [Symbol.asyncDispose]: () => sealer[Symbol.asyncDispose]() };
}

test('a step whose outputs wait on the disk of another host is not sealed, though nothing waits on this one', async () => {
  await using at = rig();
  at.there.add(two);
  at.sealer.seal(one);
  at.sealer.seal(two);
  await until('the other one is sealed', () => at.sealed().length === 1);
  const looks = at.seen.looks;
  await until('it is looked at again', () => at.seen.looks >= looks + 3);
  expect(at.sealed()).toEqual([two]);
  expect(at.sealer.waiting).toBe(1);
  at.there.add(one); // the other host has handed it over
  await until('it is sealed, too', () => at.sealed().length === 2);
  expect(at.sealer.waiting).toBe(0);
});

test('the store is not asked while something waits here, and what begins to wait during the question unmakes the answer', async () => {
  await using at = rig();
  at.there.add(one);
  at.seen.staging = { blobs: 1, away: undefined };
  at.sealer.seal(one);
  await new Promise((resolve) => setTimeout(resolve, 300)); // three looks
  expect([at.seen.looks, at.sealed()]).toEqual([0, []]);
  at.seen.onLook = () => (at.seen.staging = { blobs: 0, away: 'it does not answer' });
  at.seen.staging = EMPTY;
  await until('the store was asked', () => at.seen.looks === 1);
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(at.sealed()).toEqual([]);
  at.seen.onLook = () => {};
  at.seen.staging = EMPTY;
  await until('it is sealed', () => at.sealed().length === 1);
});

test('a step that ran again during the question waits for what it left then', async () => {
  await using at = rig();
  at.there.add(one);
  at.seen.onLook = () => {
    if (at.seen.looks === 1) at.sealer.seal(one);
  };
  at.sealer.seal(one);
  await until('it is sealed', () => at.sealed().length === 1);
  expect(at.seen.looks).toBe(2);
});

test('what never comes into the store is given up, said so in the log, and not called sealed', async () => {
  await using at = rig(3);
  at.sealer.seal(one);
  await until('it is given up', () => at.sealer.waiting === 0);
  expect([at.seen.looks, at.sealed()]).toEqual([3, []]);
  expect(at.log.entries.map(({ event }) => event)).toEqual(['steps-not-sealed']);
});
