import { expect, test } from 'vitest';
import type { AuditNote } from '../base/audit.ts';
import { systemClock } from '../base/clock.ts';
import { memoryLogger } from '../base/log.ts';
import { openRefusals } from './refusals.ts';

const refusal = (over: Partial<AuditNote> = {}): AuditNote => ({
  act: 'call',
  outcome: 'refused',
  actor: 'ann',
  subject: 'google.bytestream.ByteStream/Write',
  detail: 'Not yours',
  peer: '10.0.0.7:40000',
  ...over,
});

test('what was refused comes again until it is said to be kept, and what comes meanwhile is in the next batch', () => {
  using held = openRefusals({ log: memoryLogger(), clock: systemClock });
  expect(held.take([])).toBeUndefined();
  held.note(refusal());
  held.note(refusal({ peer: '10.0.0.7:40001' }));
  held.note(refusal({ outcome: 'ok' }));
  const first = held.take([]);
  expect(first?.refusals).toMatchObject([{ note: { actor: 'ann' }, count: 2 }]);
  held.note(refusal({ actor: 'bob' }));
  expect(held.take(['another'])).toEqual(first);
  const second = held.take([first?.id ?? '']);
  expect(second?.refusals).toMatchObject([{ note: { actor: 'bob' }, count: 1 }]);
  expect(held.take([second?.id ?? ''])).toBeUndefined();
});

test('of a flood that nobody takes, 20 different ones and the number of the others are held', () => {
  using held = openRefusals({ log: memoryLogger(), clock: systemClock });
  for (let index = 0; index < 100_000; index += 1) held.note(refusal({ actor: `liar-${index}` }));
  const { refusals = [] } = held.take([]) ?? {};
  expect(refusals).toHaveLength(21);
  expect(refusals.at(-1)).toMatchObject({ count: 99_980, note: { actor: '' } });
});
