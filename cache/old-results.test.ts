import fs from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { memoryLogger } from '../base/log.ts';
import { tempDir } from '../test/fixtures/temp-dir.ts';
import { removeOldResults } from './old-results.ts';

const RESULT = `${'ab'.repeat(32)}-140.${'0f'.repeat(16)}`;

/** Lays out files below a data plane's directory, and removes old results from it. */
async function after(files: readonly string[]) {
  await using dir = await tempDir();
  for (const file of files) {
    fs.mkdirSync(join(dir.path, file, '..'), { recursive: true });
    if (file.endsWith('/')) fs.mkdirSync(join(dir.path, file), { recursive: true });
    else fs.writeFileSync(join(dir.path, file), 'x');
  }
  const log = memoryLogger();
  await removeOldResults(dir.path, { log });
  return { left: fs.readdirSync(dir.path).toSorted(), events: log.entries.map(({ event }) => event) };
}

test('results of earlier versions go, with what a writer of theirs left, and nothing beside them', async () => {
  const files = ['cas/web~main/ab/x', 'results/.tmp/0123456789ab.77.0123456789abcdef', `results/web/ab/${RESULT}`, 'results/other/'];
  expect(await after(files)).toEqual({ left: ['cas'], events: ['old-results-removed'] });
});

test('where there are none nothing is said', async () => {
  expect(await after(['cas/web~main/ab/x'])).toEqual({ left: ['cas'], events: [] });
});

test.for([
  ['a file of somebody', ['results/.tmp/', `results/web/ab/${RESULT}`, 'results/web/ab/report.xml']],
  ['a directory in the place of a result', ['results/.tmp/', `results/web/ab/${RESULT}/`]],
  ['a file in the place of a project', ['results/.tmp/', 'results/web']],
  ['a directory of other names', ['results/.tmp/', 'results/web/junit/a.xml']],
  ['something half-written that is not ours', ['results/.tmp/draft.txt']],
  ['a directory that no version of ours made', ['results/web/']],
] as const)('%s keeps all of it, and is said', async ([, files]) => {
  expect(await after(files)).toEqual({ left: ['results'], events: ['old-results-kept'] });
});
