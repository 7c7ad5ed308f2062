import { afterEach, beforeEach, expect, test } from 'vitest';
import { present } from '../../base/assert.ts';
import { parseAgentId, parseBuildId, sessionIdOf } from '../../coordinator/core/ids.ts';
import { openMemoryLedger, type MemoryLedger } from '../../coordinator/ledger/memory.ts';
import { callServerStream, callUnary } from '../../proto/dial.ts';
import type { BuildClient } from '../../proto/gen/switchyard/v1/Build.ts';
import type { Offer__Output } from '../../proto/gen/switchyard/v1/Offer.ts';
import type { StepSpec } from '../../proto/gen/switchyard/v1/StepSpec.ts';
import type { StreamLogResponse__Output } from '../../proto/gen/switchyard/v1/StreamLogResponse.ts';
import type { WatchBuildResponse__Output } from '../../proto/gen/switchyard/v1/WatchBuildResponse.ts';
import { loadProto } from '../../proto/load.ts';
import { MESSAGE_BYTES_MAX } from '../../proto/serve.ts';
import { until } from '../fixtures/until.ts';
import { startNode, type CoordinatorNode } from './coordinator-node.ts';
import { memoryDataPlane } from './memory-data-plane.ts';
import { scriptedAgent, type ScriptedAgent } from './scripted-agent.ts';
import { tokenOf } from './served-coordinator.ts';

const signal = new AbortController().signal;
let ledger: MemoryLedger;
let leader: CoordinatorNode;
let follower: CoordinatorNode;
let stack: AsyncDisposableStack;

beforeEach(async () => {
  ledger = openMemoryLedger();
  stack = new AsyncDisposableStack();
  const data = memoryDataPlane();
  leader = stack.use(await startNode('first', { ledger, data }));
  await until('the first one leads', () => leader.roles.current().kind === 'leading');
  follower = stack.use(await startNode('second', { ledger, data }));
  await follower.roles.known(10_000, signal);
});

afterEach(() => stack.disposeAsync());

const step = (name: string, over: StepSpec = {}): StepSpec => ({ name, command: ['true'], ...over });

function submit(client: BuildClient, steps: StepSpec[] = [step('one')], idempotencyKey = 'key') {
  return callUnary(client, 'submitBuild', { idempotencyKey, name: 'a build', steps }, { signal });
}

async function take(from: ScriptedAgent): Promise<Offer__Output> {
  const offer = await from.next('offer');
  from.send({ accept: { token: offer.token } }, { running: { token: offer.token } });
  return offer;
}

const succeeded = { result: { exitCode: 0, agent: 'edge-1', usage: {} } };
const agentOf = (node: CoordinatorNode) => scriptedAgent(node.address, tokenOf('agent'), {});

/** Collects a stream in the background; `all` holds what has come, `ended` is how it ended. */
function collect<T>(stream: AsyncIterable<T>) {
  const all: T[] = [];
  const ended = (async () => {
    for await (const item of stream) all.push(item);
  })();
  ended.catch(() => {}); // whoever awaits it sees it
  return { all, ended };
}

const watch = (node: CoordinatorNode, buildId: string, cursor = '') =>
  collect<WatchBuildResponse__Output>(callServerStream(node.client('viewer'), 'watchBuild', { buildId, cursor }, { signal }));
const follow = (node: CoordinatorNode, buildId: string, over = {}) =>
  collect<StreamLogResponse__Output>(
    callServerStream(node.client('viewer'), 'streamLog', { buildId, step: 'one', follow: true, ...over }, { signal }),
  );
const textOf = (pieces: readonly StreamLogResponse__Output[]) => Buffer.concat(pieces.map((piece) => piece.data)).toString();
const seqs = (items: readonly WatchBuildResponse__Output[]) =>
  items.filter((item) => item.event !== undefined).map((item) => Number(item.cursor.split(':')[1]));
const upTo = (count: number) => Array.from({ length: count }, (_, index) => index + 1);

test('a follower says who leads, and what it is itself', async () => {
  const ask = (node: CoordinatorNode) => callUnary(node.client('viewer'), 'getServer', {}, { signal });
  expect(await ask(follower)).toMatchObject({ coordinatorRole: 'COORDINATOR_ROLE_FOLLOWING', leaderAddress: leader.address });
  expect(await ask(leader)).toMatchObject({ coordinatorRole: 'COORDINATOR_ROLE_LEADING', leaderAddress: leader.address });
});

test('a build that is handed to a follower runs, and the follower shows it live as the leader does', async () => {
  const { buildId } = await submit(follower.client('submitter'));
  const watched = watch(follower, buildId);
  const log = follow(follower, buildId);
  await using edge = agentOf(leader);
  const { token } = await take(edge);
  edge.send({ log: { token, offset: 0, data: Buffer.from('hello ') } });
  await until('the follower has the first bytes', () => textOf(log.all) === 'hello ');
  edge.send({ log: { token, offset: 6, data: Buffer.from('world') } });
  await until('the follower has the rest', () => textOf(log.all) === 'hello world');
  edge.send({ finished: { token, report: succeeded } });
  await Promise.all([watched.ended, log.ended]);
  expect(textOf(log.all)).toBe('hello world');
  expect(log.all.at(-1)).toMatchObject({ complete: true, attempt: 1 });
  const atLeader = watch(leader, buildId);
  await atLeader.ended;
  expect(watched.all.filter((item) => item.event !== undefined)).toEqual(atLeader.all.filter((item) => item.event !== undefined));
  const get = (node: CoordinatorNode) => callUnary(node.client('viewer'), 'getBuild', { buildId }, { signal });
  expect(await get(follower)).toEqual(await get(leader));
});

test('a watch at a follower goes on from a cursor of the leader, and ends where the build has ended already', async () => {
  const { buildId } = await submit(leader.client('submitter'));
  await callUnary(leader.client('submitter'), 'cancelBuild', { buildId, reason: 'enough' }, { signal });
  const all = watch(leader, buildId);
  await all.ended;
  const [first] = all.all;
  const rest = watch(follower, buildId, first?.cursor);
  await rest.ended;
  expect(seqs(rest.all)).toEqual(upTo(all.all.length).slice(1));
  const none = watch(follower, buildId, all.all.at(-1)?.cursor);
  await none.ended;
  expect(none.all).toEqual([]);
  const late = watch(follower, buildId, `${first?.cursor.split(':')[0]}:999`);
  await expect(late.ended).rejects.toMatchObject({ code: 'CURSOR_EXPIRED' });
  const foreign = watch(follower, buildId, `${'0'.repeat(32)}:1`);
  await expect(foreign.ended).rejects.toMatchObject({ code: 'CURSOR_EXPIRED' });
  await expect(watch(follower, buildId, 'x').ended).rejects.toMatchObject({ code: 'BAD_REQUEST' });
});

test('what only the leader knows is answered through a follower, as the caller’s own call', async () => {
  const { buildId } = await submit(leader.client('submitter'));
  const at = follower.client('submitter');
  expect((await callUnary(at, 'listBuilds', {}, { signal })).builds.map((build) => build.id)).toEqual([buildId]);
  expect(await callUnary(at, 'explainStep', { buildId, step: 'one' }, { signal })).toMatchObject({ phase: 'STEP_PHASE_QUEUED' });
  await using _edge = agentOf(leader);
  const operator = follower.client('operator');
  await until('the agent is known', async () => (await callUnary(operator, 'listAgents', {}, { signal })).agents.length === 1);
  const hold = { target: 'agent:edge-1', kind: 'HOLD_KIND_PAUSE', reason: 'why not', expiresAtMs: 0 } as const;
  await callUnary(operator, 'setHold', hold, { signal });
  expect((await callUnary(operator, 'listAgents', {}, { signal })).holds).toMatchObject([{ by: 'operator', reason: 'why not' }]);
  await expect(callUnary(at, 'setHold', hold, { signal })).rejects.toMatchObject({ code: 'FORBIDDEN' });
  await expect(submit(at, [step('two')])).rejects.toMatchObject({ code: 'IDEMPOTENCY_CONFLICT' });
  await expect(submit(at, [step('two', { command: [] })], 'other')).rejects.toMatchObject({
    code: 'BAD_REQUEST',
    field: 'steps[0].command',
  });
});

test('a request of the largest size is taken through a follower as well, which writes out its defaults', async () => {
  const requestOf = (filler: number) => {
    const steps = Array.from({ length: 10_000 }, (_, index) => step(`s-${index}`, { command: ['sh', '-c', 'x'.repeat(filler)] }));
    return { idempotencyKey: 'large', name: 'a build', steps };
  };
  const { SubmitBuild } = loadProto().switchyard.v1.Build.service;
  const sizeOf = (filler: number) => SubmitBuild.requestSerialize(requestOf(filler)).byteLength;
  const filler = 1_000 + Math.floor((MESSAGE_BYTES_MAX - sizeOf(1_000)) / 10_000);
  expect(MESSAGE_BYTES_MAX - sizeOf(filler)).toBeLessThan(10_000);
  const { existing } = await callUnary(follower.client('submitter'), 'submitBuild', requestOf(filler), { signal });
  expect(existing).toBe(false);
});

test('a log that is followed at a follower breaks off where its build leaves the ledger unseen', async () => {
  const { buildId } = await submit(leader.client('submitter'));
  const log = follow(follower, buildId);
  await using edge = agentOf(leader);
  const { epoch } = await edge.next('registered');
  const { token } = await take(edge);
  edge.send({ log: { token, offset: 0, data: Buffer.from('hello') } });
  await until('the follower has the first bytes', () => textOf(log.all) === 'hello');
  const role = leader.roles.current();
  if (role.kind !== 'leading') throw new Error('the first one leads');
  const { driver } = role.shell;
  const id = present(parseBuildId(buildId), 'the id of a build');
  const session = sessionIdOf(present(parseAgentId('edge-1'), 'the id of an agent'), Number(epoch));
  // In one commit: nobody sees the build end.
  const left = driver.submit({ kind: 'agent-left', session });
  const cancelled = driver.submit({ kind: 'build-cancelled', id, by: 'test', reason: 'enough' });
  const expired = driver.submit({ kind: 'build-expired', id });
  await Promise.all([left, cancelled, expired]);
  expect(await ledger.events(id, 0, 1, signal)).toEqual([]);
  await expect(log.ended).rejects.toMatchObject({ code: 'LEDGER_UNAVAILABLE', message: expect.stringContaining('has left the ledger') });
});

test('a follower shows nobody what is not theirs', async () => {
  const { buildId } = await submit(leader.client('submitter'));
  const stranger = follower.client('stranger');
  await expect(callUnary(stranger, 'getBuild', { buildId }, { signal })).rejects.toMatchObject({ code: 'BUILD_UNKNOWN' });
  const watching = collect(callServerStream(stranger, 'watchBuild', { buildId }, { signal }));
  await expect(watching.ended).rejects.toMatchObject({ code: 'BUILD_UNKNOWN' });
  const reading = collect(callServerStream(stranger, 'streamLog', { buildId, step: 'one' }, { signal }));
  await expect(reading.ended).rejects.toMatchObject({ code: 'BUILD_UNKNOWN' });
  await expect(callUnary(follower.client('agent'), 'getBuild', { buildId }, { signal })).rejects.toMatchObject({ code: 'FORBIDDEN' });
});

test('an agent that comes to a follower is told who leads, and to go there', async () => {
  await using edge = agentOf(follower);
  expect(await edge.next('refused')).toMatchObject({ retry: true, leaderAddress: leader.address });
});

test('a watcher of the leader sees every event once when another one takes over, and so does one of the follower', async () => {
  const { buildId } = await submit(leader.client('submitter'));
  const watching = [watch(leader, buildId), watch(follower, buildId)];
  await until('both have the beginning', () => watching.every(({ all }) => seqs(all).includes(1)));
  ledger.loseSuffix(0); // nothing is lost, but the term; cursors of before have ended
  for (const { ended } of watching) await expect(ended).rejects.toMatchObject({ code: 'CURSOR_EXPIRED' });
});

test('streams of a follower go on when it comes to lead; calls wait for that, and nothing is told twice', async () => {
  const { buildId } = await submit(leader.client('submitter'));
  await using edge = agentOf(leader);
  const { token } = await take(edge);
  edge.send({ log: { token, offset: 0, data: Buffer.from('before ') } });
  const watching = watch(follower, buildId);
  const log = follow(follower, buildId);
  const atLeader = watch(leader, buildId);
  await until('the bytes are there', () => textOf(log.all) === 'before ');
  await until('the leader’s watcher has begun', () => seqs(atLeader.all).length > 0);
  await leader.stop();
  await expect(atLeader.ended).rejects.toMatchObject({ code: 'DRAINING' });
  await callUnary(follower.client('submitter'), 'cancelBuild', { buildId, reason: 'enough' }, { signal });
  expect(follower.roles.current().kind).toBe('leading');
  // The agent comes back with its lease, learns of the cancel, and ends the attempt.
  await using again = scriptedAgent(follower.address, tokenOf('agent'), { held: [{ token, started: true }] });
  await again.next('registered');
  again.send({ log: { token, offset: 7, data: Buffer.from('after') } });
  await until('the bytes after are there', () => textOf(log.all) === 'before after');
  again.send({ finished: { token, report: { failureClass: 'FAILURE_CLASS_CANCELLED', message: 'cancelled' } } });
  await Promise.all([watching.ended, log.ended]);
  expect(textOf(log.all)).toBe('before after');
  expect(seqs(watching.all)).toEqual(upTo(seqs(watching.all).length));
  expect(watching.all.at(-1)).toMatchObject({ event: 'buildEnded' });
});

test('a call that was handed on once is not handed on again', async () => {
  const forwarded = { signal, metadata: { 'switchyard-forwarded': '1' } };
  await expect(callUnary(follower.client('submitter'), 'listBuilds', {}, forwarded)).rejects.toMatchObject({ code: 'NO_LEADER' });
  await expect(callUnary(leader.client('submitter'), 'listBuilds', {}, forwarded)).resolves.toMatchObject({ builds: [] });
});

test('a leader that does not answer is named to who asked, and when to ask again', async () => {
  await leader.stop();
  await until('the follower leads', () => follower.roles.current().kind === 'leading');
  const lost = await startNode('third', { ledger, data: memoryDataPlane() });
  stack.use(lost);
  await lost.roles.known(10_000, signal);
  const { address } = follower;
  await follower[Symbol.asyncDispose]();
  const asked = callUnary(lost.client('submitter'), 'listBuilds', {}, { signal });
  // It leads by now, or it still knows the one that has gone.
  const answer = await asked.then(
    () => 'answered',
    (error: unknown) => error,
  );
  if (answer !== 'answered') expect(answer).toMatchObject({ code: 'PEER_UNAVAILABLE', message: expect.stringContaining(address) });
  await until('it leads and answers', async () => callUnary(lost.client('submitter'), 'listBuilds', {}, { signal }));
});
