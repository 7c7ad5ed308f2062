import { afterEach, beforeEach, expect, test } from 'vitest';
import type { DataPlane } from '../../cache/rpc/client.ts';
import { openMemoryLedger, type MemoryLedger } from '../../coordinator/ledger/memory.ts';
import { digestToProto } from '../../proto/convert.ts';
import { callUnary } from '../../proto/dial.ts';
import { grpcStatus, last, openRawTool, operationOf, type RawTool, type Seen } from '../e2e/reapi/raw-client.ts';
import { until } from '../fixtures/until.ts';
import { startNode, type CoordinatorNode } from './coordinator-node.ts';
import { memoryDataPlane } from './memory-data-plane.ts';
import { scriptedAgent, type ScriptedAgent } from './scripted-agent.ts';
import { tokenOf, type TokenName } from './served-coordinator.ts';

const signal = new AbortController().signal;
let ledger: MemoryLedger;
let data: DataPlane;
let leader: CoordinatorNode;
let follower: CoordinatorNode;
let stack: AsyncDisposableStack;

beforeEach(async () => {
  ledger = openMemoryLedger();
  stack = new AsyncDisposableStack();
  data = memoryDataPlane();
  leader = stack.use(await startNode('first', { ledger, data }));
  await until('the first one leads', () => leader.roles.current().kind === 'leading');
  follower = stack.use(await startNode('second', { ledger, data }));
  await follower.roles.known(10_000, signal);
});

afterEach(() => stack.disposeAsync());

const toolAt = (node: CoordinatorNode, token: TokenName = 'submitter'): RawTool => stack.use(openRawTool(node.address, tokenOf(token)));

/** The action's digest, once all of it is in the store, which these coordinators serve nobody. */
async function stored(tool: RawTool, word: string) {
  const { digest, blobs } = tool.encode({ command: { arguments: ['echo', word] } });
  for (const [name, bytes] of blobs) await data.withInstance('shop/main').store.put(name, bytes, signal);
  return digestToProto(digest);
}

async function first(stream: AsyncGenerator<Seen>): Promise<Seen> {
  const { value } = await stream.next();
  if (value === undefined) throw new Error('The stream ended without a message');
  return value;
}

async function finish(agent: ScriptedAgent): Promise<void> {
  const { token } = await agent.next('offer');
  agent.send({ accept: { token } }, { running: { token } });
  const result = { exitCode: 0, agent: 'edge-1', usage: {} };
  agent.send({ finished: { token, report: { result } } });
}

const agentOf = (node: CoordinatorNode) => scriptedAgent(node.address, tokenOf('agent'), {});
const codeOf = (work: Promise<unknown>) =>
  work.then(
    () => 'none',
    (error: { code: string }) => error.code,
  );

test('an action that is brought to a follower runs, and both coordinators tell of it under one name', async () => {
  const [near, far] = [toolAt(leader), toolAt(follower)];
  const stream = far.execute({ actionDigest: await stored(far, 'one') });
  const { name } = await first(stream);
  const waiting = last(near.wait(name));
  await using edge = agentOf(leader);
  await finish(edge);
  const ended = await last(stream);
  expect(ended).toMatchObject({ name, done: true, response: { status: { code: grpcStatus.OK } } });
  expect(await waiting).toEqual(ended);
  expect(await operationOf(far, name)).toEqual(ended);
  expect((await callUnary(far.operations, 'listOperations', {}, { signal })).operations.map((operation) => operation.name)).toEqual([name]);
});

test('when the leader goes, waiting ends as something to be done again, and goes on at the next one', async () => {
  const [near, far] = [toolAt(leader), toolAt(follower)];
  const stream = near.execute({ actionDigest: await stored(near, 'two') });
  const { name } = await first(stream);
  const broken = codeOf(last(stream));
  await leader.stop();
  expect(['DRAINING', 'PEER_UNAVAILABLE', 'NO_LEADER']).toContain(await broken);
  await until('the other one leads', () => follower.roles.current().kind === 'leading');
  const waiting = last(far.wait(name));
  await using edge = agentOf(follower);
  await finish(edge);
  expect(await waiting).toMatchObject({ name, done: true, response: { status: { code: grpcStatus.OK } } });
});

test('nobody of another project knows of an operation, and a viewer sees and ends none', async () => {
  const tool = toolAt(leader);
  const stream = tool.execute({ actionDigest: await stored(tool, 'three') });
  const { name } = await first(stream);
  const [stranger, viewer] = [toolAt(leader, 'stranger'), toolAt(leader, 'viewer')];
  expect(await codeOf(last(stranger.wait(name)))).toBe('BUILD_UNKNOWN');
  expect(await codeOf(operationOf(stranger, name))).toBe('BUILD_UNKNOWN');
  await callUnary(stranger.operations, 'cancelOperation', { name }, { signal });
  expect((await callUnary(stranger.operations, 'listOperations', {}, { signal })).operations).toEqual([]);
  expect((await operationOf(viewer, name)).done).toBe(false);
  expect(await codeOf(callUnary(viewer.operations, 'cancelOperation', { name }, { signal }))).toBe('FORBIDDEN');
  expect(await codeOf(last(viewer.execute({ actionDigest: await stored(tool, 'three') })))).toBe('FORBIDDEN');
  await callUnary(tool.operations, 'cancelOperation', { name }, { signal });
  expect((await last(stream)).response?.status?.code).toBe(grpcStatus.CANCELLED);
});

test('builds of steps are no operations', async () => {
  const { buildId } = await callUnary(
    leader.client('submitter'),
    'submitBuild',
    { idempotencyKey: 'k', name: 'b', steps: [{ name: 'action', command: ['true'] }] },
    { signal },
  );
  const tool = toolAt(leader);
  expect(await codeOf(last(tool.wait(`operations/${buildId}`)))).toBe('BUILD_UNKNOWN');
  expect((await callUnary(tool.operations, 'listOperations', {}, { signal })).operations).toEqual([]);
});

test('an operation is waited for as long as the caller says, however short or long that is', async () => {
  const tool = toolAt(leader);
  const stream = tool.execute({ actionDigest: await stored(tool, 'four') });
  const { name } = await first(stream);
  const waited = (timeout: { readonly seconds?: number; readonly nanos?: number } | null) =>
    callUnary(tool.operations, 'waitOperation', { name, timeout }, { signal });
  expect((await waited({ nanos: 1 })).done).toBe(false);
  expect((await waited({ seconds: -5 })).done).toBe(false);
  const long = [null, { seconds: 30 * 24 * 3_600 }, { seconds: 60 * 24 * 3_600, nanos: 1 }, { seconds: Number.MAX_SAFE_INTEGER }].map(
    waited,
  );
  await using edge = agentOf(leader);
  await finish(edge);
  expect((await Promise.all(long)).map(({ done }) => done)).toEqual([true, true, true, true]);
  await last(stream);
});
