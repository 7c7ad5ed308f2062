import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { isFault } from '../base/fault.ts';
import { tempDir } from '../test/fixtures/temp-dir.ts';
import { claimWorkDir } from './work-dir.ts';

test('a directory in use is refused, and free again afterwards', async () => {
  await using dir = await tempDir();
  {
    using _ = claimWorkDir(dir.path);
    expect(() => claimWorkDir(dir.path)).toThrow(expect.toSatisfy((error) => isFault(error, 'WRONG_STATE')));
  }
  using _ = claimWorkDir(dir.path);
});

test.for(['', 'garbage', '4194304 1', `${process.pid} 1`])('a claim that no living process made (%j) is taken over', async (claim) => {
  await using dir = await tempDir();
  writeFileSync(join(dir.path, 'agent.lock'), claim);
  {
    using _ = claimWorkDir(dir.path);
  }
  expect(readdirSync(dir.path)).toEqual([]);
});
