import { expect, test } from 'vitest';
import { steadyClock } from './steady-clock.ts';

test('a jump of the wall clock does not move the steady clock', () => {
  let wall = 1_000_000;
  let monotonic = 50.4;
  const clock = steadyClock({ now: () => wall, monotonic: () => monotonic });
  const before = clock.now();
  wall += 3_600_000;
  expect(clock.now()).toBe(before);
  wall -= 7_200_000;
  monotonic += 250;
  expect(clock.now()).toBe(before + 250);
});
