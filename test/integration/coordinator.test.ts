import { afterEach, beforeEach, expect, test } from 'vitest';
import { digestOf } from '../../cache/digest.ts';
import { openMemoryLedger, type MemoryLedger } from '../../coordinator/ledger/memory.ts';
import { callServerStream, callUnary } from '../../proto/dial.ts';
import { digestToProto } from '../../proto/convert.ts';
import type { BuildClient } from '../../proto/gen/switchyard/v1/Build.ts';
import type { Offer__Output } from '../../proto/gen/switchyard/v1/Offer.ts';
import type { StepSpec } from '../../proto/gen/switchyard/v1/StepSpec.ts';
import type { SubmitBuildRequest } from '../../proto/gen/switchyard/v1/SubmitBuildRequest.ts';
import type { WatchBuildResponse__Output } from '../../proto/gen/switchyard/v1/WatchBuildResponse.ts';
import { memoryDataPlane } from './memory-data-plane.ts';
import { scriptedAgent, type ScriptedAgent } from './scripted-agent.ts';
import { serveCoordinator, tokenOf, type ServedCoordinator } from './served-coordinator.ts';

const signal = new AbortController().signal;
let ledger: MemoryLedger;
let data: ReturnType<typeof memoryDataPlane>;
let coordinator: ServedCoordinator;

beforeEach(async () => {
  ledger = openMemoryLedger();
  data = memoryDataPlane();
  coordinator = await serveCoordinator({ ledger, data });
});

afterEach(async () => {
  await coordinator[Symbol.asyncDispose]();
});

const step = (name: string, over: StepSpec = {}): StepSpec => ({ name, command: ['true'], ...over });

function request(over: SubmitBuildRequest = {}): SubmitBuildRequest {
  return { idempotencyKey: 'key-1', name: 'a build', steps: [step('one')], ...over };
}

const submit = (over: SubmitBuildRequest = {}, client: BuildClient = coordinator.client('submitter')) =>
  callUnary(client, 'submitBuild', request(over), { signal });

function agent(register = {}): ScriptedAgent {
  return scriptedAgent(coordinator.address, tokenOf('agent'), register);
}

/** Accepts an offer and says that its command runs. */
async function take(from: ScriptedAgent): Promise<Offer__Output> {
  const offer = await from.next('offer');
  from.send({ accept: { token: offer.token } }, { running: { token: offer.token } });
  return offer;
}

const succeeded = (over = {}) => ({ result: { exitCode: 0, agent: 'edge-1', usage: {}, ...over } });

async function watchToEnd(buildId: string, cursor = '', client = coordinator.client('viewer')): Promise<WatchBuildResponse__Output[]> {
  const all: WatchBuildResponse__Output[] = [];
  for await (const item of callServerStream(client, 'watchBuild', { buildId, cursor }, { signal })) all.push(item);
  return all;
}

async function readLog(buildId: string, over = {}): Promise<{ text: string; complete: boolean; attempt: number }> {
  const pieces: Buffer[] = [];
  let last = { complete: false, attempt: 0 };
  const call = callServerStream(coordinator.client('viewer'), 'streamLog', { buildId, step: 'one', follow: true, ...over }, { signal });
  for await (const piece of call) {
    pieces.push(piece.data);
    last = { complete: piece.complete, attempt: piece.attempt };
  }
  return { text: Buffer.concat(pieces).toString('latin1'), ...last };
}

test('a step is offered, run, logged and finished; its watcher and its log reader see all of it', async () => {
  await using edge = agent();
  const registered = await edge.next('registered');
  expect(registered).toMatchObject({ protocol: 1, dataAddress: '127.0.0.1:1', logBytesMax: String(64 * 1024 * 1024) });
  const { buildId } = await submit({
    steps: [step('one', { command: ['sh', '-c', 'echo hi'], env: { A: 'b' }, outputs: ['dist'], cacheable: true })],
  });
  const watching = watchToEnd(buildId);
  const following = readLog(buildId);
  const offer = await take(edge);
  expect(offer).toMatchObject({
    buildId,
    step: 'one',
    attempt: 1,
    command: ['sh', '-c', 'echo hi'],
    env: { A: 'b' },
    outputs: ['dist'],
    instanceName: 'shop/main',
    sideEffects: false,
    runTimeoutMs: '3600000',
    graceMs: '10000',
  });
  const { token } = offer;
  const log = Buffer.from([104, 105, 10, 255, 0, 254]);
  edge.send({ log: { token, offset: 0, data: log.subarray(0, 3) } }, { log: { token, offset: 3, data: log.subarray(3) } });
  await edge.next('logAck');
  expect((await edge.next('logAck')).offset).toBe('6');
  const digest = digestOf(log);
  await data.store.put(digest, log, signal);
  edge.send({ finished: { token, report: succeeded({ log: digestToProto(digest) }) } });
  expect(await edge.next('finishedReply')).toEqual({ token, verdict: 'ACCEPTED' });
  const events = await watching;
  expect(events.map((item) => item.event)).toEqual([
    'buildAccepted',
    'stepReady',
    'stepQueued',
    'attemptAccepted',
    'attemptStarted',
    'attemptEnded',
    'stepEnded',
    'buildEnded',
  ]);
  expect(await following).toEqual({ text: log.toString('latin1'), complete: true, attempt: 1 });
  const { build, steps } = await callUnary(coordinator.client('viewer'), 'getBuild', { buildId }, { signal });
  expect(build).toMatchObject({
    phase: 'BUILD_PHASE_ENDED',
    verdict: 'BUILD_VERDICT_SUCCEEDED',
    stepsEnded: 1,
    project: 'shop',
    submittedBy: 'submitter',
  });
  expect(steps[0]).toMatchObject({
    verdict: 'STEP_VERDICT_SUCCEEDED',
    source: 'RESULT_SOURCE_RUN',
    attempts: [{ token, endedWhy: 'succeeded' }],
  });
});

test('a cacheable step runs once: the next build takes its result and its log from the cache', async () => {
  await using edge = agent();
  const steps = [step('one', { cacheable: true })];
  const first = await submit({ steps });
  const { token } = await take(edge);
  const log = Buffer.from('once\n');
  await data.store.put(digestOf(log), log, signal);
  edge.send({ finished: { token, report: succeeded({ log: digestToProto(digestOf(log)) }) } });
  await watchToEnd(first.buildId);
  await expect.poll(() => data.results.size).toBe(1);
  const second = await submit({ steps, idempotencyKey: 'key-2' });
  const events = await watchToEnd(second.buildId);
  expect(events.map((item) => item.event)).not.toContain('attemptAccepted');
  expect(events.find((item) => item.stepEnded)?.stepEnded).toMatchObject({ source: 'RESULT_SOURCE_CACHE' });
  expect(await readLog(second.buildId)).toEqual({ text: 'once\n', complete: true, attempt: 0 });
});

test('the steps of a large build come in pages that every client takes', async () => {
  const many = Array.from({ length: 25_000 }, (_, index) => step(`a-step-with-a-rather-long-name-${index}`));
  const { buildId } = await submit({ steps: many });
  const client = coordinator.client('viewer');
  const names: string[] = [];
  let pages = 0;
  for (let pageToken = ''; pages === 0 || pageToken !== ''; pages += 1) {
    const page = await callUnary(client, 'getBuild', { buildId, pageToken }, { signal });
    names.push(...page.steps.map(({ name }) => name));
    pageToken = page.nextPageToken;
  }
  expect(pages).toBeGreaterThan(1);
  expect(names).toEqual(many.map(({ name }) => name));
  await expect(callUnary(client, 'getBuild', { buildId, pageToken: 'x' }, { signal })).rejects.toMatchObject({ field: 'page_token' });
});

test('the same key with the same request is the same build, with another request a conflict', async () => {
  const first = await submit();
  expect(first.existing).toBe(false);
  expect(await submit()).toEqual({ buildId: first.buildId, existing: true, scope: 'main' });
  await expect(submit({ name: 'another' })).rejects.toMatchObject({ code: 'IDEMPOTENCY_CONFLICT' });
});

test('a watch goes on from a cursor without gap or repeat', async () => {
  await using edge = agent();
  const { buildId } = await submit();
  const { token } = await take(edge);
  edge.send({ finished: { token, report: succeeded() } });
  const all = await watchToEnd(buildId);
  for (const [index, item] of all.entries()) expect(await watchToEnd(buildId, item.cursor)).toEqual(all.slice(index + 1));
  const { cursor } = await callUnary(coordinator.client('viewer'), 'getBuild', { buildId }, { signal });
  expect(cursor).toBe(all.at(-1)?.cursor);
  await expect(watchToEnd(buildId, 'gone:1')).rejects.toMatchObject({ code: 'CURSOR_EXPIRED' });
});

test('log bytes that come twice count once, and a gap is answered with what is there', async () => {
  await using edge = agent();
  const { buildId } = await submit();
  const { token } = await take(edge);
  const chunk = (offset: number, text: string) => ({ log: { token, offset, data: Buffer.from(text) } });
  edge.send(chunk(0, 'abc'), chunk(0, 'abc'), chunk(9, 'later'), chunk(1, 'bcdef'));
  const acks = [await edge.next('logAck'), await edge.next('logAck'), await edge.next('logAck'), await edge.next('logAck')];
  expect(acks.map((ack) => Number(ack.offset)).toSorted((left, right) => left - right)).toEqual([3, 3, 3, 6]);
  edge.send({ finished: { token, report: { failureClass: 'FAILURE_CLASS_EXIT', message: 'exit 1' } } });
  expect((await readLog(buildId)).text).toBe('abcdef');
});

test('log bytes of a lease that the agent does not hold are not taken', async () => {
  await using edge = agent();
  const { buildId } = await submit();
  const { token } = await take(edge);
  await using other = agent({ agentId: 'edge-2', bootId: 'boot-2' });
  await other.next('registered');
  other.send({ log: { token, offset: 0, data: Buffer.from('forged') } }, { heartbeat: { tokens: [token], credits: 1 } });
  const reply = await other.next('heartbeatReply');
  expect(reply.leases).toEqual([{ token, verdict: 'LOST', grant: '' }]);
  other.send({ finished: { token, report: succeeded() } });
  expect(await other.next('finishedReply')).toEqual({ token, verdict: 'FENCED' });
  edge.send({ log: { token, offset: 0, data: Buffer.from('true') } });
  await edge.next('logAck');
  edge.send({ finished: { token, report: succeeded() } });
  expect((await readLog(buildId)).text).toBe('true');
});

test('a coordinator that comes back goes on where the ledger is: leases are held, results and logs not lost', async () => {
  const before = coordinator;
  const edge = agent();
  const { buildId } = await submit({ steps: [step('one'), step('two', { needs: [{ step: 'one' }] })] });
  const seen = callServerStream(before.client('viewer'), 'watchBuild', { buildId }, { signal })[Symbol.asyncIterator]();
  const { token } = await take(edge);
  edge.send({ log: { token, offset: 0, data: Buffer.from('before ') } });
  await edge.next('logAck');
  let cursor = '';
  for (let item = await seen.next(); item.value?.event !== 'attemptStarted'; item = await seen.next()) cursor = item.value?.cursor ?? '';
  // The old one is not told: its term is fenced by the new one's, as after a crash.
  coordinator = await serveCoordinator({ ledger, data });
  await edge[Symbol.asyncDispose]();
  await before[Symbol.asyncDispose]();
  const held = [{ token, finished: succeeded() }];
  await using again = agent({ held, credits: 4 });
  const registered = await again.next('registered');
  expect(registered.held).toEqual([{ token, verdict: 'CONTINUE', grant: '' }]);
  expect(registered.logs).toEqual([{ token, offset: '7' }]);
  const second = await take(again);
  expect(second).toMatchObject({ step: 'two', attempt: 1 });
  again.send({ finished: { token: second.token, report: succeeded() } });
  const events = await watchToEnd(buildId, cursor);
  expect(events.map((item) => item.event)).toContain('buildEnded');
  expect(events.filter((item) => item.stepEnded).map((item) => item.step)).toEqual(['one', 'two']);
  expect((await readLog(buildId)).text).toBe('before ');
});

test('an agent that takes the id over ends the old stream', async () => {
  await using old = agent();
  await old.next('registered');
  await using newer = agent({ bootId: 'boot-2' });
  await newer.next('registered');
  expect(await old.next('refused')).toMatchObject({ retry: false });
  expect(await old.ended).toBeUndefined();
});

test('operators see agents, and hold work back from them', async () => {
  await using edge = agent();
  await edge.next('registered');
  const operator = coordinator.client('operator');
  await callUnary(operator, 'setHold', { target: 'agent:edge-1', kind: 'HOLD_KIND_PAUSE', reason: 'disk swap' }, { signal });
  const { buildId } = await submit();
  const { agents, holds } = await callUnary(operator, 'listAgents', {}, { signal });
  expect(agents[0]).toMatchObject({
    agent: 'edge-1',
    connected: true,
    labels: { class: 'edge', cluster: 'c1', pool: 'edge', zone: 'trusted' },
  });
  expect(holds[0]).toMatchObject({ target: 'agent:edge-1', kind: 'pause', reason: 'disk swap', by: 'operator' });
  const explained = await callUnary(coordinator.client('viewer'), 'explainStep', { buildId, step: 'one' }, { signal });
  expect(JSON.stringify(explained)).toContain('disk swap');
  await callUnary(operator, 'setHold', { target: 'agent:edge-1', kind: 'HOLD_KIND_UNSPECIFIED' }, { signal });
  expect(await edge.next('offer')).toMatchObject({ step: 'one' });
});

test('a cancelled build tells its agent, and ends when the agent has stopped', async () => {
  await using edge = agent();
  const { buildId } = await submit();
  const { token } = await take(edge);
  const client = coordinator.client('submitter');
  await callUnary(client, 'cancelBuild', { buildId, reason: 'not wanted' }, { signal });
  expect(await edge.next('cancel')).toMatchObject({ token, graceMs: '10000' });
  edge.send({ finished: { token, report: { failureClass: 'FAILURE_CLASS_CANCELLED', message: 'stopped' } } });
  expect((await watchToEnd(buildId)).at(-1)?.buildEnded).toMatchObject({ verdict: 'BUILD_VERDICT_CANCELLED' });
  await callUnary(client, 'cancelBuild', { buildId }, { signal });
});

test('builds are listed by page, newest first, of the own project only', async () => {
  const ids: string[] = [];
  for (const key of ['a', 'b', 'c'])
    ids.unshift((await submit({ idempotencyKey: key, labels: { branch: key === 'b' ? 'dev' : 'main' } })).buildId);
  const client = coordinator.client('viewer');
  const first = await callUnary(client, 'listBuilds', { pageSize: 2 }, { signal });
  const rest = await callUnary(client, 'listBuilds', { pageSize: 2, pageToken: first.nextPageToken }, { signal });
  expect([...first.builds, ...rest.builds].map((build) => build.id)).toEqual(ids);
  expect(rest.nextPageToken).toBe('');
  const dev = await callUnary(client, 'listBuilds', { labels: { branch: 'dev' } }, { signal });
  expect(dev.builds.map((build) => build.id)).toEqual([ids[1]]);
  const stranger = coordinator.client('stranger');
  expect((await callUnary(stranger, 'listBuilds', {}, { signal })).builds).toEqual([]);
  for (const buildId of ids)
    await expect(callUnary(stranger, 'getBuild', { buildId }, { signal })).rejects.toMatchObject({ code: 'BUILD_UNKNOWN' });
});
