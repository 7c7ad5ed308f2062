import { expect, test } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import { openMemoryLedger } from '../../coordinator/ledger/memory.ts';
import { openCoordinatorMetrics } from '../../coordinator/metrics/metrics.ts';
import { callUnary } from '../../proto/dial.ts';
import { until } from '../fixtures/until.ts';
import { memoryDataPlane } from './memory-data-plane.ts';
import { scriptedAgent, type ScriptedAgent } from './scripted-agent.ts';
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

test("the metrics say that a cluster's breaker is open while those of its pools are closed", async () => {
  using measured = openCoordinatorMetrics({ clock: systemClock, version: '1' });
  await using served = await serveCoordinator({ ledger: openMemoryLedger(), data: memoryDataPlane(), measures: measured.measures });
  const role = { kind: 'leading', shell: served.shell, over: signal } as const;
  measured.watch({ roles: { current: () => role, ledgerAnsweredAt: 0 }, breakers: () => [], redis: undefined, dataPlanePid: () => 1 });
  const text = () => measured.metrics.text();
  await using stack = new AsyncDisposableStack();
  // Too few errors in each of the pools for their own breakers, enough of both together.
  const agents: ScriptedAgent[] = [];
  for (let index = 0; index < 8; index += 1) {
    const agentId = `a${index}`;
    const register = { agentId, bootId: agentId, credits: 1, capacity: { cpuMillis: 1_000, memoryBytes: 1_024, slots: 1 } };
    const agent = scriptedAgent(served.address, tokenOf(index < 4 ? 'agent' : 'centralAgent'), register);
    stack.use(agent);
    agents.push(agent);
    await agent.next('registered');
  }
  expect(await text()).toContain('switchyard_cluster_breaker_state{cluster="c1",state="closed"} 1');
  const steps = agents.map((_, index) => ({ name: `s${index}`, command: ['true'], resources: { slots: 1 } }));
  await callUnary(served.client('submitter'), 'submitBuild', { idempotencyKey: 'k', name: 'b', steps }, { signal });
  for (const agent of agents) {
    const { token } = await agent.next('offer');
    const report = { failureClass: 'FAILURE_CLASS_SANDBOX_ERROR' as const, message: 'no network' };
    agent.send({ accept: { token } }, { finished: { token, report } });
  }
  await until('the breaker opens', async () => (await text()).includes('switchyard_cluster_breakers_opened_total 1'));
  const shown = await text();
  // Its first open time is 5 s at least; a very slow host may be in the next state already.
  expect(shown).toMatch(/^switchyard_cluster_breaker_state\{cluster="c1",state="(open|half-open)"\} 1$/m);
  expect(shown).toContain('switchyard_cluster_breaker_state{cluster="c1",state="closed"} 0');
  expect(shown).toContain('switchyard_pool_breaker_state{pool="c1/edge",state="closed"} 1');
  expect(shown).toContain('switchyard_pool_breaker_state{pool="c1/central",state="closed"} 1');
});
