import { expect, test } from 'vitest';
import type { Clock } from '../../base/clock.ts';
import { openMemoryLedger } from '../ledger/memory.ts';
import { steadyClock } from './steady-clock.ts';

const { signal } = new AbortController();

/** A ledger on a host of its own. */
const ledgerAt = (wallMs: () => number) => openMemoryLedger({ clock: { now: wallMs, monotonic: () => 0 } });

test('a jump of any wall clock does not move the steady clock', async () => {
  let wall = 1_000_000;
  let monotonic = 50.4;
  await using ledger = ledgerAt(() => wall);
  const clock = await steadyClock({ ledger, clock: { now: () => wall, monotonic: () => monotonic }, earliestMs: 0, signal });
  const before = clock.now();
  wall += 3_600_000;
  expect(clock.now()).toBe(before);
  wall -= 7_200_000;
  monotonic += 250;
  expect(clock.now()).toBe(before + 250);
});

test('coordinators whose hosts disagree about the time agree on the time of the ledger', async () => {
  await using ledger = ledgerAt(() => 5_000_000);
  const hosts: readonly Clock[] = [
    { now: () => 5_000_000 + 3_600_000, monotonic: () => 12 },
    { now: () => 0, monotonic: () => 900_000 },
  ];
  const clocks = await Promise.all(hosts.map((clock) => steadyClock({ ledger, clock, earliestMs: 0, signal })));
  expect(clocks.map((clock) => clock.now())).toEqual([5_000_000, 5_000_000]);
});

test('an answer that was long on its way makes the clock late, never early', async () => {
  let monotonic = 0;
  const slow = {
    async now() {
      const said = 5_000_000 + monotonic;
      monotonic += 800;
      return Promise.resolve(said);
    },
  };
  const clock = await steadyClock({ ledger: slow, clock: { now: () => 0, monotonic: () => monotonic }, earliestMs: 0, signal });
  expect(clock.now()).toBe(5_000_000);
});

test("a ledger's clock that was set back while nobody led does not take time back", async () => {
  await using ledger = ledgerAt(() => 1_000);
  const clock = await steadyClock({ ledger, clock: { now: () => 0, monotonic: () => 50 }, earliestMs: 3_600_000, signal });
  expect(clock.now()).toBe(3_600_000);
});
