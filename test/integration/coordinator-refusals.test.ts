import { afterEach, beforeEach, expect, test } from 'vitest';
import { digestOf } from '../../cache/digest.ts';
import { openMemoryLedger } from '../../coordinator/ledger/memory.ts';
import { digestToProto } from '../../proto/convert.ts';
import { callServerStream, callUnary } from '../../proto/dial.ts';
import type { StepSpec } from '../../proto/gen/switchyard/v1/StepSpec.ts';
import { memoryDataPlane } from './memory-data-plane.ts';
import { scriptedAgent } from './scripted-agent.ts';
import { serveCoordinator, tokenOf, type ServedCoordinator, type TokenName } from './served-coordinator.ts';

const signal = new AbortController().signal;
let coordinator: ServedCoordinator;

beforeEach(async () => {
  coordinator = await serveCoordinator({ ledger: openMemoryLedger(), data: memoryDataPlane() });
});

afterEach(async () => {
  await coordinator[Symbol.asyncDispose]();
});

const submit = (steps: StepSpec[], token: TokenName = 'submitter') =>
  callUnary(coordinator.client(token), 'submitBuild', { idempotencyKey: 'k', name: 'refused', steps }, { signal });
async function all<T>(items: AsyncIterable<T>): Promise<readonly T[]> {
  const taken: T[] = [];
  for await (const item of items) taken.push(item);
  return taken;
}

const step = (name: string, over: StepSpec = {}): StepSpec => ({ name, command: ['true'], ...over });
const needs = (...names: string[]) => ({ needs: names.map((name) => ({ step: name })) });

test('a cycle is refused, with the steps that form it', async () => {
  const refused = submit([step('a', needs('c')), step('b', needs('a')), step('c', needs('b')), step('d')]);
  await expect(refused).rejects.toMatchObject({ code: 'BAD_REQUEST', message: expect.stringMatching(/(?=.*\ba\b)(?=.*\bb\b)(?=.*\bc\b)/) });
});

test('a need that is no step is refused, with the name that comes nearest', async () => {
  await expect(submit([step('compile'), step('test', needs('complie'))])).rejects.toMatchObject({
    code: 'BAD_REQUEST',
    field: expect.stringContaining('steps[1].needs'),
    message: expect.stringContaining('compile'),
  });
});

test('100,001 steps are refused, and so is a script of 5 MB', async () => {
  const many = Array.from({ length: 100_001 }, (_, index) => ({ name: `s${index}`, command: ['x'] }));
  await expect(submit(many)).rejects.toMatchObject({ code: 'TOO_LARGE', field: 'steps' });
  await expect(submit([step('big', { command: ['sh', '-c', 'x'.repeat(5_000_000)] })])).rejects.toMatchObject({
    code: 'TOO_LARGE',
    field: 'steps[0].command',
    hint: expect.stringContaining('file of the inputs'),
  });
});

test('a request over the size limit is refused by the transport, and the connection goes on', async () => {
  const client = coordinator.client('submitter');
  const submitOf = (mib: number) => {
    const command = ['x'.repeat(mib * 1024 * 1024)];
    return callUnary(client, 'submitBuild', { idempotencyKey: 'k', name: 'n', steps: [{ name: 's', command }] }, { signal });
  };
  await expect(submitOf(19)).rejects.toMatchObject({ code: 'LIMIT_EXCEEDED' });
  expect(await callUnary(client, 'getServer', {}, { signal })).toMatchObject({
    project: 'shop',
    instanceName: 'shop/main',
    role: 'submitter',
    stepsPerBuildMax: 100_000,
  });
});

test('an input tree that is not in the store is refused, naming step and digest', async () => {
  const digest = digestOf(Buffer.from('never uploaded'));
  await expect(submit([step('a'), step('b', { inputRoot: digestToProto(digest) })])).rejects.toMatchObject({
    code: 'WRONG_STATE',
    field: 'steps[1].input_root',
    message: expect.stringContaining(digest),
  });
});

test('a zone above the caller’s ceiling is refused', async () => {
  await expect(submit([step('deploy', { zone: 'ZONE_PRODUCTION' })])).rejects.toMatchObject({ code: 'FORBIDDEN', field: 'steps[0].zone' });
});

test('a label that nobody has waits, and explain says who comes nearest and what it lacks', async () => {
  await using edge = scriptedAgent(coordinator.address, tokenOf('agent'));
  await edge.next('registered');
  const { buildId } = await submit([step('one', { selector: 'class=edge, gpu=h100' })]);
  await expect
    .poll(async () => callUnary(coordinator.client('viewer'), 'explainStep', { buildId, step: 'one' }, { signal }))
    .toMatchObject({ phase: 'STEP_PHASE_QUEUED', nearest: [{ agent: 'edge-1', lacks: [expect.stringContaining('gpu')] }] });
});

test('a viewer cannot submit, a submitter cannot hold agents back, agents and services are no callers', async () => {
  await expect(submit([step('a')], 'viewer')).rejects.toMatchObject({ code: 'FORBIDDEN' });
  const hold = callUnary(
    coordinator.client('submitter'),
    'setHold',
    { target: 'cluster:c1', kind: 'HOLD_KIND_PAUSE', reason: 'r' },
    { signal },
  );
  await expect(hold).rejects.toMatchObject({ code: 'FORBIDDEN' });
  for (const token of ['agent', 'service'] as const)
    await expect(callUnary(coordinator.client(token), 'listBuilds', {}, { signal })).rejects.toMatchObject({ code: 'FORBIDDEN' });
});

test('a build of another project is unknown to every rpc', async () => {
  const { buildId } = await submit([step('one')]);
  const client = coordinator.client('stranger');
  const unary = [
    () => callUnary(client, 'getBuild', { buildId }, { signal }),
    () => callUnary(client, 'cancelBuild', { buildId }, { signal }),
    () => callUnary(client, 'retryStep', { buildId, step: 'one' }, { signal }),
    () => callUnary(client, 'explainStep', { buildId, step: 'one' }, { signal }),
    () => all(callServerStream(client, 'watchBuild', { buildId }, { signal })),
    () => all(callServerStream(client, 'streamLog', { buildId, step: 'one' }, { signal })),
  ];
  for (const call of unary) await expect(call()).rejects.toMatchObject({ code: 'BUILD_UNKNOWN' });
});

test('a submitter of a scope below cannot stop or repeat what runs above it', async () => {
  const { buildId } = await submit([step('deploy')]);
  const fork = coordinator.client('fork');
  await expect(callUnary(fork, 'cancelBuild', { buildId }, { signal })).rejects.toMatchObject({ code: 'FORBIDDEN' });
  await expect(callUnary(fork, 'cancelBuild', { buildId, step: 'deploy' }, { signal })).rejects.toMatchObject({ code: 'FORBIDDEN' });
  await callUnary(coordinator.client('operator'), 'cancelBuild', { buildId }, { signal });
  await expect(callUnary(fork, 'retryStep', { buildId, step: 'deploy' }, { signal })).rejects.toMatchObject({ code: 'FORBIDDEN' });
  await callUnary(coordinator.client('submitter'), 'retryStep', { buildId, step: 'deploy' }, { signal });
});

test('ids, steps, offsets and pages that are none are refused, naming the field', async () => {
  const { buildId } = await submit([step('one')]);
  const client = coordinator.client('operator');
  await expect(callUnary(client, 'getBuild', { buildId: '../x' }, { signal })).rejects.toMatchObject({
    code: 'BAD_REQUEST',
    field: 'build_id',
  });
  await expect(callUnary(client, 'explainStep', { buildId, step: 'two' }, { signal })).rejects.toMatchObject({
    code: 'STEP_UNKNOWN',
    field: 'step',
  });
  await expect(callUnary(client, 'retryStep', { buildId, step: 'one' }, { signal })).rejects.toMatchObject({ code: 'WRONG_STATE' });
  await expect(callUnary(client, 'listBuilds', { pageToken: 'x' }, { signal })).rejects.toMatchObject({ field: 'page_token' });
  await expect(callUnary(client, 'listBuilds', { pageSize: 5_000 }, { signal })).rejects.toMatchObject({ field: 'page_size' });
  await expect(all(callServerStream(client, 'streamLog', { buildId, step: 'one', offset: -1 }, { signal }))).rejects.toMatchObject({
    field: 'offset',
  });
  await expect(all(callServerStream(client, 'watchBuild', { buildId, cursor: 'x' }, { signal }))).rejects.toMatchObject({
    field: 'cursor',
  });
  const hold = (over: object) =>
    callUnary(client, 'setHold', { target: 'agent:a', kind: 'HOLD_KIND_PAUSE', reason: 'r', ...over }, { signal });
  await expect(hold({ target: 'everything' })).rejects.toMatchObject({ field: 'target' });
  await expect(hold({ reason: '' })).rejects.toMatchObject({ field: 'reason' });
  await expect(hold({ expiresAtMs: 1 })).rejects.toMatchObject({ field: 'expires_at_ms' });
});

test('a session is for agents only, and only with a credential', async () => {
  for (const token of ['submitter', 'service'] as const) {
    await using agent = scriptedAgent(coordinator.address, tokenOf(token));
    expect(await agent.ended).toMatchObject({ code: 'FORBIDDEN' });
  }
  await using nobody = scriptedAgent(coordinator.address, undefined);
  expect(await nobody.ended).toMatchObject({ code: 'UNAUTHENTICATED' });
});

test('an agent that speaks another protocol, claims trust or says nonsense is told so, and not to try again', async () => {
  for (const [register, reason] of [
    [{ protocolMin: 7, protocolMax: 9 }, /upgrade the coordinator/],
    [{ labels: { zone: 'production' } }, /claims zone=production/],
    [{ agentId: 'NOT AN ID' }, /register.agent_id/],
  ] as const) {
    await using agent = scriptedAgent(coordinator.address, tokenOf('agent'), register);
    expect(await agent.next('refused')).toMatchObject({ retry: false, reason: expect.stringMatching(reason) });
    expect(await agent.ended).toBeUndefined();
  }
});

test('an agent of another zone cannot take the id of one whose steps may still run, nor forge their results', async () => {
  await using trusted = scriptedAgent(coordinator.address, tokenOf('agent'));
  const { buildId } = await submit([step('one')]);
  const { token } = await trusted.next('offer');
  trusted.send({ accept: { token } }, { running: { token } });
  const forged = { held: [{ token, started: true, finished: { result: { exitCode: 0, agent: 'edge-1', usage: {} } } }] };
  await using early = scriptedAgent(coordinator.address, tokenOf('forkAgent'), forged);
  expect(await early.next('refused')).toMatchObject({ retry: false, reason: expect.stringContaining('another id') });
  trusted.cut();
  await trusted.ended;
  await expect.poll(() => coordinator.shell.core.agents()[0]?.connected).toBe(false);
  await using late = scriptedAgent(coordinator.address, tokenOf('forkAgent'), forged);
  expect(await late.next('refused')).toMatchObject({ retry: true, reason: expect.stringContaining('another id') });
  const { steps } = await callUnary(coordinator.client('viewer'), 'getBuild', { buildId }, { signal });
  expect(steps[0]?.phase).toBe('STEP_PHASE_RUNNING');
  const record = { act: 'register', outcome: 'refused', actor: 'fork-agent', detail: expect.stringContaining('another id') };
  expect(coordinator.notes).toMatchObject([record, record]);
  await using back = scriptedAgent(coordinator.address, tokenOf('agent'), { held: [{ token, started: true }] });
  expect(await back.next('registered')).toMatchObject({ held: [{ token }] });
});

test('a message that makes no sense ends the session, not the coordinator', async () => {
  await using agent = scriptedAgent(coordinator.address, tokenOf('agent'));
  await agent.next('registered');
  agent.send({ heartbeat: { tokens: ['not a token'], credits: 1 } });
  expect(await agent.ended).toMatchObject({ code: 'BAD_REQUEST', field: 'heartbeat.tokens[0]' });
  await using again = scriptedAgent(coordinator.address, tokenOf('agent'));
  await again.next('registered');
  again.send({});
  expect(await again.ended).toMatchObject({ code: 'BAD_REQUEST' });
});

test('a report that is malformed is an error of the agent, and the step is not lost', async () => {
  await using agent = scriptedAgent(coordinator.address, tokenOf('agent'));
  const { buildId } = await submit([step('one')]);
  const { token } = await agent.next('offer');
  agent.send(
    { accept: { token } },
    { finished: { token, report: { result: { outputs: [{ path: '../../etc/passwd', symlink: { target: 'x' } }] } } } },
  );
  expect(await agent.next('finishedReply')).toMatchObject({ verdict: 'ACCEPTED' });
  const { steps } = await callUnary(coordinator.client('viewer'), 'getBuild', { buildId }, { signal });
  expect(steps[0]?.attempts[0]?.endedWhy).toMatch(/^sandbox-error: the agent's report is malformed/);
  expect(steps[0]?.phase).not.toBe('STEP_PHASE_ENDED');
});
