import { expect, test } from 'vitest';
import { steadyClock } from './steady-clock.ts';

test('a jump of the wall clock does not move the steady clock', () => {
  let wall = 1_000_000;
  let monotonic = 50.4;
  const clock = steadyClock({ now: () => wall, monotonic: () => monotonic }, 0);
  const before = clock.now();
  wall += 3_600_000;
  expect(clock.now()).toBe(before);
  wall -= 7_200_000;
  monotonic += 250;
  expect(clock.now()).toBe(before + 250);
});

test('a wall clock that was set back while nobody led does not take time back', () => {
  const clock = steadyClock({ now: () => 1_000, monotonic: () => 50 }, 3_600_000);
  expect(clock.now()).toBe(3_600_000);
});
