import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { openTier } from '../../agent/tier/tier.ts';
import { systemClock } from '../../base/clock.ts';
import { memoryLogger } from '../../base/log.ts';
import { scanTree } from '../../cache/tree/scan.ts';
import { ROOT } from '../fixtures/root.ts';
import { startNode } from '../fixtures/run-process.ts';
import { tempDir } from '../fixtures/temp-dir.ts';
import { CHURN_BYTES, churnTrees } from '../fixtures/tier-churn.ts';
import { until } from '../fixtures/until.ts';

const { signal } = new AbortController();

test('a tier whose process is killed while it evicts, changes and lends trees has only whole ones when it is opened again', async () => {
  await using dir = await tempDir();
  const tier = path.join(dir.path, 'tier');
  const { store, roots } = await churnTrees();
  for (let seed = 1; seed <= 6; seed += 1) {
    {
      await using churn = startNode([path.join(ROOT, 'test/fixtures/tier-churn.ts'), tier, String(seed)]);
      await churn.ready();
      await sleep(seed * 7); // at no moment in particular
      churn.kill('SIGKILL');
      await churn.ended;
    }
    const env = { log: memoryLogger(), clock: systemClock };
    await using again = openTier({ dir: tier, maxBytes: CHURN_BYTES, guarded: true, env });
    expect(again.usedBytes).toBeGreaterThan(0);
    const view = again.view('main', store);
    for (const root of roots) {
      using lease = await view.tree(root, 'deps', signal);
      expect((await scanTree(lease.path, {}, signal)).root).toBe(root);
    }
    expect(again.usedBytes).toBeLessThanOrEqual(CHURN_BYTES);
    expect(fs.readdirSync(path.join(tier, 'incoming'))).toEqual([]);
    await until('what was left half done is gone', () => fs.readdirSync(path.join(tier, 'trash')).length === 0);
    expect(env.log.entries.filter(({ event }) => event === 'layer-not-usable')).toEqual([]);
  }
});
