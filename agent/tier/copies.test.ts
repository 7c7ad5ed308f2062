import fs from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import { memoryLogger } from '../../base/log.ts';
import { memoryStore } from '../../cache/memory.ts';
import { StatTable } from '../../cache/layer/stat-table.ts';
import { scanTree } from '../../cache/tree/scan.ts';
import { tempDir } from '../../test/fixtures/temp-dir.ts';
import { openTier } from './tier.ts';

const never = new AbortController().signal;

test('copies that had to make room are forgotten, whatever scopes come after theirs', async () => {
  await using dir = await tempDir();
  await using tier = openTier({
    dir: path.join(dir.path, 'tier'),
    maxBytes: 5_000,
    guarded: false,
    env: { log: memoryLogger(), clock: systemClock },
  });
  for (let index = 0; index < 20; index += 1) {
    const left = path.join(dir.path, 'left');
    fs.mkdirSync(left);
    fs.writeFileSync(path.join(left, 'file'), Buffer.alloc(1_000, index));
    const { root } = await scanTree(left, {}, never);
    const table = new StatTable();
    table.begin('');
    table.add(fs.lstatSync(path.join(left, 'file'), { bigint: true }));
    await tier.view(`web/main/pr-${index}`, memoryStore()).park(left, 'deps', { root, table }, false, never);
  }
  expect(tier.parkedCount).toBeLessThanOrEqual(6); // five fit; the newest may just have displaced one
});
