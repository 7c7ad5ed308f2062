import { expect, test } from 'vitest';
import { amnesiaOf } from './amnesia.ts';
import { FORGETFUL, NO_BLAME, type FaultRecord } from './fault.ts';

function fault(kind: string, fromMs: number, toMs?: number): FaultRecord {
  return { kind, target: 'redis', fromMs, toMs, blame: NO_BLAME };
}

function world(...faults: FaultRecord[]) {
  let now = 0;
  const amnesia = amnesiaOf({ faults, termTtlMs: 5, clock: { now: () => now } });
  return { faults, at: (ms: number) => ((now = ms), [amnesia.count, amnesia.overMs]) };
}

test('nothing is forgotten by a Redis that dies and comes back with what it had', () => {
  expect(world(fault('kill-redis', 1, 2), fault('stop-redis', 3), fault('full-redis', 4, 5)).at(9)).toEqual([0, 0]);
});

test.each([...FORGETFUL])('%s is under way until all leaders know of it, and counts when it begins and when it is over', (kind) => {
  const loss = fault(kind, 10);
  const { at, faults } = world(loss);
  expect(at(100)).toEqual([1, Number.POSITIVE_INFINITY]);
  loss.toMs = 20;
  expect(at(24)).toEqual([1, Number.POSITIVE_INFINITY]);
  expect(at(25)).toEqual([2, 25]);
  faults.push(fault('kill-agent', 30, 40), fault(kind, 50, 60));
  expect(at(65)).toEqual([4, 65]);
});
