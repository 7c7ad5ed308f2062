import { appendFileSync, existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { memoryLogger } from '../base/log.ts';
import { readAgentJournal } from '../test/fixtures/agent-journal.ts';
import { tempDir } from '../test/fixtures/temp-dir.ts';
import { openAttemptJournal } from './attempt-journal.ts';

const clock = { now: () => 1_700_000_000_000, monotonic: () => 12.6 };
const me = { agent: 'edge-1', bootId: 'boot-1' };

test('every line says what, when and in which life of the agent', async () => {
  await using dir = await tempDir();
  {
    using journal = openAttemptJournal(dir.path, me, { log: memoryLogger(), clock });
    journal.note({ event: 'started', token: 't.1' });
  }
  using _again = openAttemptJournal(dir.path, { ...me, bootId: 'boot-2' }, { log: memoryLogger(), clock });
  expect(readAgentJournal(dir.path)).toEqual([
    { atMs: 1_700_000_000_000, monotonicMs: 13, boot: 'boot-1', event: 'boot', agent: 'edge-1', pid: process.pid },
    { atMs: 1_700_000_000_000, monotonicMs: 13, boot: 'boot-1', event: 'started', token: 't.1' },
    { atMs: 1_700_000_000_000, monotonicMs: 13, boot: 'boot-2', event: 'boot', agent: 'edge-1', pid: process.pid },
  ]);
});

test('what grows is put aside, and the oldest goes', async () => {
  await using dir = await tempDir();
  using journal = openAttemptJournal(dir.path, me, { log: memoryLogger(), clock }, 1_000);
  for (let index = 0; index < 500; index += 1) journal.note({ event: 'kept', token: `t.${index}` });
  const sizes = [0, 1, 2, 3].map((age) => statSync(join(dir.path, age === 0 ? 'journal.jsonl' : `journal.${age}.jsonl`)).size);
  expect(Math.max(...sizes)).toBeLessThan(1_200);
  expect(existsSync(join(dir.path, 'journal.4.jsonl'))).toBe(false);
  const tokens = readAgentJournal(dir.path).map((line) => ('token' in line ? line.token : ''));
  expect(tokens.at(-1)).toBe('t.499');
  expect(tokens).toEqual(Array.from(tokens, (_, index) => `t.${500 - tokens.length + index}`));
});

test('a line that was cut short costs itself only', async () => {
  await using dir = await tempDir();
  {
    using journal = openAttemptJournal(dir.path, me, { log: memoryLogger(), clock });
    journal.note({ event: 'started', token: 't.1' });
  }
  appendFileSync(join(dir.path, 'journal.jsonl'), '{"atMs":17');
  using journal = openAttemptJournal(dir.path, me, { log: memoryLogger(), clock });
  journal.note({ event: 'exited', token: 't.1' });
  expect(readAgentJournal(dir.path).map(({ event }) => event)).toEqual(['boot', 'started', 'boot', 'exited']);
});

test('a disk that takes nothing is said once and stops nothing', async () => {
  const log = memoryLogger();
  using journal = openAttemptJournal('/dev/null/nowhere', me, { log, clock });
  journal.note({ event: 'started', token: 't.1' });
  expect(log.entries.filter(({ event }) => event === 'journal-not-written')).toHaveLength(1);
  expect(() => readFileSync('/dev/null/nowhere/journal.jsonl')).toThrow();
});
