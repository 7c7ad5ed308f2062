import { expect, test } from 'vitest';
import { until } from '../test/fixtures/until.ts';
import type { AuditNote } from './audit.ts';
import { systemClock } from './clock.ts';
import { memoryLogger } from './log.ts';
import { openRefusalLog } from './refusal-log.ts';

const refusal = (over: Partial<AuditNote> = {}): AuditNote => ({
  act: 'call',
  outcome: 'refused',
  actor: '',
  subject: 'build.bazel.remote.execution.v2.ActionCache/UpdateActionResult',
  detail: 'The token is not known here',
  peer: '10.0.0.7:40000',
  ...over,
});

test('equal refusals are one line with their number, and what was done is none', async () => {
  const log = memoryLogger();
  using refusals = openRefusalLog({ log, clock: systemClock });
  for (let port = 0; port < 300; port += 1) refusals.note(refusal({ peer: `10.0.0.7:${port}` }));
  refusals.note(refusal({ outcome: 'ok' }));
  await until('it is written', () => log.entries.length > 0);
  expect(log.entries).toHaveLength(1);
  expect(JSON.stringify(log.entries)).toMatch(/call-refused.*"count":300/);
});

test('of a flood of different ones 20 of a moment are told apart, also as the process ends', () => {
  const log = memoryLogger();
  {
    using refusals = openRefusalLog({ log, clock: systemClock });
    for (let index = 0; index < 1_000; index += 1) refusals.note(refusal({ actor: `liar-${index}` }));
  }
  expect(log.entries).toHaveLength(21);
  expect(JSON.stringify(log.entries.at(-1))).toContain('980 more within a moment');
});
