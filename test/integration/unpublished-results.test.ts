import { expect, test } from 'vitest';
import { Fault } from '../../base/fault.ts';
import type { ActionResults, DataPlane } from '../../cache/rpc/client.ts';
import { openMemoryLedger } from '../../coordinator/ledger/memory.ts';
import { callUnary } from '../../proto/dial.ts';
import { until } from '../fixtures/until.ts';
import { memoryDataPlane } from './memory-data-plane.ts';
import { scriptedAgent } from './scripted-agent.ts';
import { serveCoordinator, tokenOf, type ServedCoordinator } from './served-coordinator.ts';

const signal = new AbortController().signal;

/** A data plane of which results are written as `put` does it. */
function writing(plane: DataPlane, put: ActionResults['put']): DataPlane {
  return { ...plane, actions: { ...plane.actions, put }, withInstance: (name) => writing(plane.withInstance(name), put) };
}

/** Runs a build of one cacheable step to its end; returns its id. */
async function runBuild(coordinator: ServedCoordinator): Promise<string> {
  await using edge = scriptedAgent(coordinator.address, tokenOf('agent'), {});
  const steps = [{ name: 'one', command: ['true'], cacheable: true }];
  const request = { idempotencyKey: 'k', name: 'b', steps };
  const { buildId } = await callUnary(coordinator.client('submitter'), 'submitBuild', request, { signal });
  const { token } = await edge.next('offer');
  edge.send({ accept: { token } }, { running: { token } });
  edge.send({ finished: { token, report: { result: { exitCode: 0, agent: 'edge-1', usage: {} } } } });
  await edge.next('finishedReply');
  return buildId;
}

const buildOf = async (coordinator: ServedCoordinator, buildId: string) =>
  (await callUnary(coordinator.client('viewer'), 'getBuild', { buildId }, { signal })).build;

test('a result that the data plane refuses costs nothing but the entry: its build has succeeded, and says what is missing', async () => {
  const ledger = openMemoryLedger();
  const data = writing(memoryDataPlane(), () => Promise.reject(new Fault('STORE_FULL', 'no room')));
  await using coordinator = await serveCoordinator({ ledger, data });
  const buildId = await runBuild(coordinator);
  const told = 'one: the entry could not be written into the action cache, so equal steps run again';
  await until('the build says so', async () => (await buildOf(coordinator, buildId))?.degraded?.includes(told));
  expect(await buildOf(coordinator, buildId)).toMatchObject({ verdict: 'BUILD_VERDICT_SUCCEEDED' });
  expect(coordinator.shell.stats.counts).toEqual({ written: 0, failed: 1, dropped: 0 });
});

test('a result that a leader had not written when it ended is written by the next one', async () => {
  const [ledger, plane] = [openMemoryLedger(), memoryDataPlane()];
  const asked: string[] = [];
  const hanging = writing(plane, (action, _, stop) => {
    asked.push(action);
    return new Promise((_done, failed) => stop.addEventListener('abort', () => failed(stop.reason), { once: true }));
  });
  const first = await serveCoordinator({ ledger, data: hanging });
  const buildId = await runBuild(first);
  await until('it is about to be written', () => asked.length === 1);
  await first[Symbol.asyncDispose]();
  expect(plane.results.size).toBe(0);

  await using second = await serveCoordinator({ ledger, data: plane });
  await until('it is written', () => plane.results.size === 1);
  expect([...plane.results.keys()]).toEqual([`shop/main ${asked[0]}`]);
  expect(await buildOf(second, buildId)).toMatchObject({ verdict: 'BUILD_VERDICT_SUCCEEDED', degraded: [] });
});
