import { expect, test } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import { openMemoryLedger } from '../../coordinator/ledger/memory.ts';
import { openCoordinatorMetrics } from '../../coordinator/metrics/metrics.ts';
import { callUnary } from '../../proto/dial.ts';
import { until } from '../fixtures/until.ts';
import { memoryDataPlane } from './memory-data-plane.ts';
import { scriptedAgent } from './scripted-agent.ts';
import { serveCoordinator, tokenOf } from './served-coordinator.ts';

const signal = new AbortController().signal;

test('the metrics say how pools are used, what waits in vain, for how long, and how long dispatch takes', async () => {
  using measured = openCoordinatorMetrics({ clock: systemClock, version: '1' });
  await using served = await serveCoordinator({ ledger: openMemoryLedger(), data: memoryDataPlane(), measures: measured.measures });
  const role = { kind: 'leading', shell: served.shell, over: signal } as const;
  measured.watch({ roles: { current: () => role, ledgerAnsweredAt: 0 }, breakers: () => [], redis: undefined, dataPlanePid: () => 1 });
  const value = async (series: string) => {
    const line = (await measured.metrics.text()).split('\n').find((one) => one.startsWith(`${series} `));
    return line === undefined ? undefined : Number(line.slice(series.length + 1));
  };
  expect(await value('switchyard_queue_oldest_seconds')).toBe(0);
  await using edge = scriptedAgent(served.address, tokenOf('agent'));
  await edge.next('registered');
  const steps = [
    { name: 'fits', command: ['true'], resources: { slots: 3 } },
    { name: 'never', command: ['true'], selector: 'gpu' },
  ];
  await callUnary(served.client('submitter'), 'submitBuild', { idempotencyKey: 'k', name: 'b', steps }, { signal });
  const { token } = await edge.next('offer');
  edge.send({ accept: { token }, running: { token } });
  await until('it is accepted', async () => (await value('switchyard_dispatch_seconds_count')) === 1);
  expect(await value('switchyard_pool_slots{pool="c1/edge",state="all"}')).toBe(4);
  expect(await value('switchyard_pool_slots{pool="c1/edge",state="used"}')).toBe(3);
  await until('the other one waits', async () => (await value('switchyard_unmatched_steps{why="selector"}')) === 1);
  expect(await value('switchyard_unmatched_steps{why="held"}')).toBe(0);
  expect(await value('switchyard_queue_oldest_seconds')).toBeGreaterThanOrEqual(0);
});
