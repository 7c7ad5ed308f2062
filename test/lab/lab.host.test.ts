import { describe, expect, test } from 'vitest';
import { needs } from '../fixtures/host.ts';
import { tempDir } from '../fixtures/temp-dir.ts';
import { parseLabOptions } from './options.ts';
import { renderLabReport } from './report.ts';
import { runLab } from './run.ts';

// Terms and leases outlast what a host that is busy with other tests withholds of a process: no fault would excuse that.
const TIMES = '--duration 30s --every 4s --isolation 2s --lease-ttl 30s --term-ttl 8s';
const FAULTS = 'isolate-cluster,slow-cluster,kill-gateway,kill-cluster,cut-store,kill-leader,kill-agent';
const ARGS = `--seed 4 --rate 3 --s3 fake ${TIMES} --faults ${FAULTS}`;

describe.runIf(needs('netns', 'mount'))('the laboratory', { timeout: 600_000 }, () => {
  test('three clusters go on through cut links and killed processes: nothing is lost, misplaced, or trusted more than it may be', async () => {
    await using dir = await tempDir();
    const said: string[] = [];
    const report = await runLab(parseLabOptions(ARGS.split(' ')), {
      dir: dir.path,
      commit: 'of this tree',
      say: (line) => said.push(line),
      signal: new AbortController().signal,
    });
    expect(report.violations, renderLabReport(report)).toEqual([]);
    // It saw something to be right about.
    expect(Object.keys(report.faults).length).toBeGreaterThanOrEqual(4);
    expect(report.steps['succeeded']).toBeGreaterThan(20);
    expect(Object.keys(report.places).toSorted()).toEqual(['central', 'edge', 'production']);
    expect(report.intrusions.map(({ refused }) => refused)).toEqual([true, true, true]);
    expect(Math.min(report.trust.main, report.trust.fork)).toBeGreaterThan(3);
    expect(report.isolation?.floodQueued).toBeGreaterThan(1_000);
    expect(report.isolation?.flooded.count).toBe(report.isolation?.quiet.count);
    expect(report.evidence.witnessedStarts).toBeGreaterThan(20);
  });
});
