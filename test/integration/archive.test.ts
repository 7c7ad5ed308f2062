import { expect, test } from 'vitest';
import { silentLogger } from '../../base/log.ts';
import { systemClock } from '../../base/clock.ts';
import { openArchive } from '../../coordinator/archive/archive.ts';
import { openMemoryLedger } from '../../coordinator/ledger/memory.ts';
import { startRetention } from '../../coordinator/shell/retention.ts';
import { callServerStream, callUnary } from '../../proto/dial.ts';
import type { BuildClient } from '../../proto/gen/switchyard/v1/Build.ts';
import { until } from '../fixtures/until.ts';
import { startNode, type CoordinatorNode } from './coordinator-node.ts';
import { memoryDataPlane } from './memory-data-plane.ts';
import { scriptedAgent } from './scripted-agent.ts';
import { serveCoordinator, tokenOf, type ServedCoordinator } from './served-coordinator.ts';

const signal = new AbortController().signal;
const LOG = Buffer.from('hello\nfrom afar\n');

/** Runs a build of one step with a log to its end; returns its id. */
async function runBuild(coordinator: Pick<ServedCoordinator, 'address' | 'client'>): Promise<string> {
  await using edge = scriptedAgent(coordinator.address, tokenOf('agent'), {});
  const steps = [{ name: 'one', command: ['true'] }];
  const { buildId } = await callUnary(
    coordinator.client('submitter'),
    'submitBuild',
    { idempotencyKey: 'k', name: 'b', steps },
    { signal },
  );
  const { token } = await edge.next('offer');
  edge.send({ accept: { token } }, { running: { token } }, { log: { token, offset: 0, data: LOG } });
  await edge.next('logAck');
  edge.send({ finished: { token, report: { result: { exitCode: 0, agent: 'edge-1', usage: {} } } } });
  await edge.next('finishedReply');
  return buildId;
}

function expireAll({ shell: { core, driver }, archive }: Pick<ServedCoordinator, 'shell' | 'archive'>) {
  const bounds = { keepMs: -1, operationKeepMs: 1e9, keepCount: 10, keepSteps: 100, hardCount: 10, everyMs: 1e6 };
  return startRetention({ core, driver, archive, env: { log: silentLogger, clock: systemClock }, ...bounds });
}

async function everything(client: BuildClient, buildId: string) {
  const { build, steps, cursor } = await callUnary(client, 'getBuild', { buildId }, { signal });
  const events = [];
  for await (const item of callServerStream(client, 'watchBuild', { buildId }, { signal })) events.push(item);
  const pieces: Buffer[] = [];
  for await (const piece of callServerStream(client, 'streamLog', { buildId, step: 'one', follow: true }, { signal }))
    pieces.push(piece.data);
  return { build, steps, cursor, events, log: Buffer.concat(pieces).toString() };
}

test('a build that has left the ledger is shown, watched and read as before, and stays after a restart', async () => {
  const [ledger, data] = [openMemoryLedger(), memoryDataPlane()];
  await using first = await serveCoordinator({ ledger, data });
  const buildId = await runBuild(first);
  const before = await everything(first.client('viewer'), buildId);
  expect(before.log).toBe(LOG.toString());
  await using retention = expireAll(first);
  expect(await retention.sweep()).toBe(1);
  expect(first.shell.core.builds({ limit: 10 })).toEqual([]);
  expect(await everything(first.client('viewer'), buildId)).toEqual(before);
  const resumed = [];
  const cursor = before.events.at(-3)?.cursor ?? '';
  for await (const item of callServerStream(first.client('viewer'), 'watchBuild', { buildId, cursor }, { signal })) resumed.push(item);
  expect(resumed).toEqual(before.events.slice(-2));
  const elsewhere = callServerStream(first.client('viewer'), 'watchBuild', { buildId, cursor: 'other:1' }, { signal });
  await expect(elsewhere[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: 'CURSOR_EXPIRED' });
  await using second = await serveCoordinator({ ledger, data });
  expect(await everything(second.client('viewer'), buildId)).toEqual(before);
});

test('an archived build is unknown to other projects, and cannot be cancelled or retried', async () => {
  await using coordinator = await serveCoordinator({ ledger: openMemoryLedger(), data: memoryDataPlane() });
  const buildId = await runBuild(coordinator);
  await using retention = expireAll(coordinator);
  await retention.sweep();
  const get = (client: BuildClient) => callUnary(client, 'getBuild', { buildId }, { signal });
  await expect(get(coordinator.client('stranger'))).rejects.toMatchObject({ code: 'BUILD_UNKNOWN' });
  const cancelled = callUnary(coordinator.client('submitter'), 'cancelBuild', { buildId }, { signal });
  await expect(cancelled).rejects.toMatchObject({ code: 'BUILD_UNKNOWN', hint: expect.stringContaining('archive') });
  const { builds } = await callUnary(coordinator.client('viewer'), 'listBuilds', {}, { signal });
  expect(builds).toEqual([]);
});

test('a coordinator that follows shows archived builds too', async () => {
  const [ledger, data] = [openMemoryLedger(), memoryDataPlane()];
  await using first = await startNode('first', { ledger, data, ttlMs: 5_000 });
  const shell = await until('the first one leads', () => shellOf(first));
  await using second = await startNode('second', { ledger, data, ttlMs: 5_000 });
  const buildId = await runBuild(first);
  const before = await everything(second.client('viewer'), buildId);
  const archive = openArchive({ ledger, cacheOf: (name) => data.withInstance(name), log: silentLogger });
  await using retention = expireAll({ shell, archive });
  expect(await retention.sweep()).toBe(1);
  expect(shellOf(second)).toBeUndefined();
  expect(await everything(second.client('viewer'), buildId)).toEqual(before);
});

function shellOf({ roles }: CoordinatorNode) {
  const role = roles.current();
  return role.kind === 'leading' ? role.shell : undefined;
}
