import fs from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { systemClock } from '../base/clock.ts';
import { silentLogger } from '../base/log.ts';
import { startNode } from '../test/fixtures/run-process.ts';
import { tempDir } from '../test/fixtures/temp-dir.ts';
import { LruDir } from './lru-dir.ts';

const env = { log: silentLogger, clock: systemClock };

function bytesBelow(dir: string): number {
  const entries = fs.readdirSync(dir, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + fs.statSync(path.join(entry.parentPath, entry.name)).size, 0);
}

test('several processes that write, read and evict at once see right bytes or none, and stay near the limit', async () => {
  await using dir = await tempDir();
  await using stack = new AsyncDisposableStack();
  const limit = 1_500_000;
  const workers = [1, 2, 3].map((seed) =>
    stack.use(startNode(['test/fixtures/store-worker.ts', dir.path, String(limit), String(seed), '400'])),
  );
  const seen = await Promise.all(workers.map((worker) => worker.ready(100_000)));
  for (const one of seen) expect(one).toMatchObject({ wrong: [] });
  const sum = (key: string) => seen.reduce((total, one) => total + Number(one[key]), 0);
  // All 60 blobs together are more than the limit, so that every process has evicted what others had.
  expect(sum('gone')).toBeGreaterThan(0);
  expect(sum('read')).toBeGreaterThan(0);
  expect(fs.readdirSync(path.join(dir.path, '.tmp'))).toEqual([]);
  // Each learns of what the others wrote after a sixteenth of the limit, and one blob may be on its way.
  expect(bytesBelow(dir.path)).toBeLessThan(limit * (1 + 3 / 16) + 3 * 250_000);
});

test('what another host is writing is left alone; what a process of this one left behind is removed', async () => {
  await using dir = await tempDir();
  const open = (host: string) => LruDir.open({ dir: dir.path, limitBytes: 1_000_000, durability: 'process', env, host });
  const temporary = path.join(dir.path, '.tmp');
  await using there = open('there');
  await there.write('p', 'ab', 3, async (fd) => {
    const [mine] = fs.readdirSync(temporary);
    fs.writeFileSync(path.join(temporary, `${mine?.split('.')[0]}.999999999.left`), 'half');
    await using _here = open('here'); // starts in the middle of the write
    expect(fs.readdirSync(temporary)).toHaveLength(2);
    fs.writeSync(fd, 'abc');
  });
  expect(there.use('p', 'ab')).toBe(3);
  await using _again = open('there');
  expect(fs.readdirSync(temporary)).toEqual([]);
});

test('what another host is writing is left alone by one whose clock is hours ahead, and what it left hours ago is removed', async () => {
  await using dir = await tempDir();
  const temporary = path.join(dir.path, '.tmp');
  fs.mkdirSync(temporary);
  const [written, left] = [path.join(temporary, 'there.1.written'), path.join(temporary, 'there.1.left')];
  for (const file of [written, left]) fs.writeFileSync(file, 'half');
  const hoursAgo = fs.statSync(left).mtimeMs / 1_000 - 7_200;
  fs.utimesSync(left, hoursAgo, hoursAgo);
  const clock = { now: () => systemClock.now() + 7_200_000, monotonic: () => systemClock.monotonic() };
  const skewed = { log: silentLogger, clock };
  await using _ = LruDir.open({ dir: dir.path, limitBytes: 1_000_000, durability: 'process', env: skewed, host: 'here' });
  expect(fs.readdirSync(temporary)).toEqual(['there.1.written']);
});
