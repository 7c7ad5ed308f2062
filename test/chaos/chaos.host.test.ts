import { expect, test } from 'vitest';
import { tempDir } from '../fixtures/temp-dir.ts';
import { parseChaosOptions } from './options.ts';
import { renderReport } from './report.ts';
import { runChaos } from './run.ts';

// Leases outlast what a host that is busy with other tests withholds of a process: nobody injects that, so nothing would excuse it.
const ARGS = '--seed 20 --duration 25s --agents 3 --coordinators 2 --rate 4 --every 2500ms --lease-ttl 15s --term-ttl 2s';

test('under faults of every kind nothing is lost and nothing is done twice', { timeout: 240_000 }, async () => {
  await using dir = await tempDir();
  const said: string[] = [];
  const report = await runChaos(parseChaosOptions(ARGS.split(' ')), {
    dir: dir.path,
    commit: 'of this tree',
    say: (line) => said.push(line),
    signal: new AbortController().signal,
  });
  expect(report.violations, renderReport(report)).toEqual([]);
  // It saw something to be right about.
  expect(Object.keys(report.faults).length).toBeGreaterThanOrEqual(5);
  expect(report.steps['succeeded']).toBeGreaterThan(50);
  expect(report.evidence.logsRead).toBeGreaterThan(50);
  expect(report.evidence.journalLines).toBeGreaterThan(200);
  expect(report.evidence.witnessedStarts).toBeGreaterThan(50);
});
