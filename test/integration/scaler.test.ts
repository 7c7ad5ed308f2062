import { readFileSync } from 'node:fs';
import { status } from '@grpc/grpc-js';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { memoryLogger } from '../../base/log.ts';
import type { KeyedCertificate } from '../../base/issue-certificate.ts';
import { openServerTls } from '../../base/server-tls.ts';
import { freshKeyring } from '../../base/signing.ts';
import { scalerUri } from '../../base/spiffe.ts';
import { openMemoryLedger, type MemoryLedger } from '../../coordinator/ledger/memory.ts';
import { callUnary } from '../../proto/dial.ts';
import type { DialTls } from '../../proto/tls.ts';
import { authorityIn, certificateBy, clientOf, DOMAIN, writeCertificate, type TestAuthority } from '../fixtures/certificates.ts';
import { tempDir } from '../fixtures/temp-dir.ts';
import { until } from '../fixtures/until.ts';
import { startNode, type CoordinatorNode } from './coordinator-node.ts';
import { kedaAt, type Keda, type Shown } from './keda.ts';
import { memoryDataPlane } from './memory-data-plane.ts';
import { scriptedAgent, type ScriptedAgent } from './scripted-agent.ts';
import { tokenOf } from './served-coordinator.ts';

const signal = new AbortController().signal;
const keyring = freshKeyring();
const EDGE = { pool: 'c1/edge', zone: 'trusted', slots: '2', labels: 'class=edge' };
let stack: AsyncDisposableStack;
let ledger: MemoryLedger;
let authority: TestAuthority;
let dial: DialTls;
let leader: CoordinatorNode;
let follower: CoordinatorNode;

beforeEach(async () => {
  stack = new AsyncDisposableStack();
  const dir = stack.use(await tempDir());
  ledger = openMemoryLedger();
  authority = authorityIn(dir.path, 'trusted');
  dial = { source: clientOf(authority.file) };
  const files = writeCertificate(dir.path, 'server', certificateBy(authority, { hosts: ['127.0.0.1', 'localhost'] }));
  const server = stack.use(
    openServerTls({ tlsCert: files.cert, tlsKey: files.key, zoneCa: [`trusted=${authority.file}`], callerCa: [] }, memoryLogger()),
  );
  const options = { ledger, data: memoryDataPlane(), tls: { server, dial }, keyring };
  leader = stack.use(await startNode('first', options));
  await until('the first one leads', () => leader.roles.current().kind === 'leading');
  follower = stack.use(await startNode('second', options));
  await follower.roles.known(10_000, signal);
});
afterEach(() => stack.disposeAsync());

const scaler = (cluster: string) => certificateBy(authority, { uri: scalerUri(DOMAIN, { zone: 'trusted', cluster, name: 'keda' }) });

const shownOf = ({ cert, key }: KeyedCertificate): Shown => ({
  ca: readFileSync(authority.file),
  cert: Buffer.from(cert),
  key: Buffer.from(key),
});

function keda(nodes: readonly CoordinatorNode[], metadata: Readonly<Record<string, string>> = EDGE, own = scaler('c1')): Keda {
  return stack.use(
    kedaAt(
      nodes.map((node) => node.address),
      shownOf(own),
      metadata,
    ),
  );
}

/** An agent of the pool with two slots that takes what it is offered. */
class Pod {
  readonly tokens: string[] = [];
  readonly #name: string;
  #agent: ScriptedAgent | undefined;
  #beat: NodeJS.Timeout | undefined;

  constructor(name: string) {
    this.#name = name;
  }

  connect(node: CoordinatorNode): void {
    const held = this.tokens.map((token) => ({ token, started: true }));
    const register = { agentId: this.#name, bootId: this.#name, capacity: { slots: 2 }, credits: 2, held };
    const agent = scriptedAgent(node.address, tokenOf('agent'), register, dial);
    stack.use(agent);
    this.#agent = agent;
    const take = async () => {
      for (;;) {
        const { token } = await agent.next('offer');
        this.tokens.push(token);
        agent.send({ accept: { token }, running: { token } });
      }
    };
    take().catch(() => {}); // the stream has ended
    clearInterval(this.#beat);
    // Leases last for as long as they are renewed, however slow the host is.
    this.#beat = setInterval(() => agent.send({ heartbeat: { tokens: this.tokens, credits: 2 - this.tokens.length } }), 1_000);
    stack.defer(() => clearInterval(this.#beat));
  }

  finishOne(): void {
    const token = this.tokens.shift();
    const report = { result: { exitCode: 0, agent: this.#name, usage: {} } };
    if (token !== undefined) this.#agent?.send({ finished: { token, report } });
  }
}

const steps = (count: number, needs: readonly string[] = [], name = 's') =>
  Array.from({ length: count }, (_, index) => ({
    name: `${name}-${index}`,
    command: ['true'],
    selector: 'class=edge',
    resources: { slots: 1 },
    needs: needs.map((step) => ({ step })),
  }));

function submit(node: CoordinatorNode, all: ReturnType<typeof steps>, idempotencyKey = 'key') {
  return callUnary(node.client('submitter'), 'submitBuild', { idempotencyKey, name: 'a build', steps: all }, { signal });
}

test('KEDA takes a pool from none to three and back to none over TLS, while coordinators change', async () => {
  const autoscaler = keda([leader, follower]);
  const spec = await autoscaler.metricSpec();
  expect(spec).toEqual({ metricName: 'switchyard-slots', targetSize: 2, targetSizeFloat: 2 });
  expect(await autoscaler.replicas(spec)).toBe(0);
  await until('the stream has told how it is', () => autoscaler.pushed.at(-1) === false);
  await submit(leader, steps(6));
  await until('it is told to begin', () => autoscaler.pushed.at(-1) === true);
  // Each of the two is asked in turn, and says the same.
  for (let round = 0; round < 4; round += 1) expect(await autoscaler.replicas(spec)).toBe(3);
  const pods = ['pod-a', 'pod-b', 'pod-c'].map((name) => new Pod(name));
  for (const pod of pods) pod.connect(leader);
  await until('all of them run', () => pods.every((pod) => pod.tokens.length === 2));
  expect(await autoscaler.replicas(spec)).toBe(3);

  await leader.stop();
  await leader[Symbol.asyncDispose]();
  await until('the other one leads', () => follower.roles.current().kind === 'leading');
  await until(
    'its stream was opened again, and says that they are needed',
    () => autoscaler.ended.length > 0 && autoscaler.pushed.at(-1) === true,
  );
  await until('what runs is wanted as before', async () => (await autoscaler.replicas(spec)) === 3);
  for (const pod of pods) pod.connect(follower);
  const values: number[] = [];
  await until('nothing is left', async () => {
    pods.find(({ tokens }) => tokens.length > 0)?.finishOne();
    values.push((await autoscaler.value(spec.metricName)).metricValueFloat);
    return values.at(-1) === 0;
  });
  expect(values, 'what has ended is not wanted again').toEqual(values.toSorted((left, right) => right - left));
  expect(await autoscaler.replicas(spec)).toBe(0);
  await until('it is told to end', () => autoscaler.pushed.at(-1) === false);
});

test('a floor keeps slots free, and what waits only for steps that run counts in part', async () => {
  const value = async (over: Readonly<Record<string, string>>) =>
    (await keda([leader], { ...EDGE, ...over }).value('switchyard-slots')).metricValueFloat;
  expect(await value({ floor: '3' })).toBe(3);
  await submit(leader, [...steps(2), ...steps(4, ['s-0', 's-1'], 'later'), ...steps(8, ['later-0'], 'last')]);
  expect(await value({})).toBe(2);
  const pod = new Pod('pod-a');
  pod.connect(leader);
  await until('both run', () => pod.tokens.length === 2);
  expect(await value({})).toBe(2 + 0.5 * 4);
  expect(await value({ lookAhead: '0', floor: '1.5' })).toBe(3.5);
  expect(await value({ lookAhead: '1' })).toBe(6);
  const hold = { target: 'pool:c1/edge', kind: 'HOLD_KIND_PAUSE', reason: 'broken', expiresAtMs: 0 } as const;
  await callUnary(leader.client('operator'), 'setHold', hold, { signal });
  expect(await value({ lookAhead: '1', floor: '7' })).toBe(2);
  expect(await value({ slots: '4', cpu: '1', memory: '1Gi' })).toBe(2);
});

test('steps that other pools could run alone are not this one’s', async () => {
  await submit(leader, steps(3));
  const value = async (over: Readonly<Record<string, string>>) =>
    (await keda([leader], { ...EDGE, ...over }).value('switchyard-slots')).metricValueFloat;
  expect(await value({})).toBe(3);
  expect(await value({ labels: 'class=central' })).toBe(0);
});

const TOPOLOGY = `version: 1
clusters:
  c1:
    zone: trusted
    pools:
      edge: { class: edge, labels: os=linux }
`;

test('a pool is asked for no more than its limits let run, and its floor neither', async () => {
  const text = `${TOPOLOGY.trimEnd().replace(' }', ', limits: { steps: 4 } }')}\n`;
  await callUnary(leader.client('stranger'), 'applyTopology', { text, baseDigest: '', reason: '' }, { signal });
  const autoscaler = keda([leader, follower], { ...EDGE, floor: '3' });
  const spec = await autoscaler.metricSpec();
  expect(await autoscaler.replicas(spec)).toBe(2); // the floor: three slots of two an agent
  await submit(leader, steps(2));
  expect((await autoscaler.value(spec.metricName)).metricValueFloat).toBe(4); // two of the floor
  await submit(leader, steps(20), 'more');
  expect((await autoscaler.value(spec.metricName)).metricValueFloat).toBe(4); // none of it
  expect(await autoscaler.replicas(spec)).toBe(2);
});

test('a pool on drain is wanted for what it runs, and for nothing once that has ended', async () => {
  const autoscaler = keda([leader, follower], { ...EDGE, floor: '2' });
  const spec = await autoscaler.metricSpec();
  await submit(leader, steps(6));
  const pod = new Pod('pod-a');
  pod.connect(leader);
  await until('it is full', () => pod.tokens.length === 2);
  expect(await autoscaler.replicas(spec)).toBe(4);
  const hold = { target: 'pool:c1/edge', kind: 'HOLD_KIND_DRAIN', reason: 'empty it', expiresAtMs: 0 } as const;
  await callUnary(leader.client('operator'), 'setHold', hold, { signal });
  await until('no more is wanted than runs', async () => (await autoscaler.replicas(spec)) <= 1);
  await until('nothing is left', async () => {
    pod.finishOne();
    return (await autoscaler.replicas(spec)) === 0;
  });
  await until('it is told to end', () => autoscaler.pushed.at(-1) === false);
});

test('a trigger that is wrong is told what it must be, and one for no pool that no pool is that', async () => {
  const failing = async (metadata: Readonly<Record<string, string>>, method: 'metricSpec' | 'isActive' = 'metricSpec') => {
    const asked = keda([leader], metadata)[method]();
    return asked.then(
      () => 'answered',
      (error: { readonly code: number; readonly details: string }) => `${status[error.code]} ${error.details}`,
    );
  };
  const { pool: _, ...poolless } = EDGE;
  expect(await failing(poolless)).toMatch(/INVALID_ARGUMENT scaler_metadata\["pool"\] must be <cluster>\/<pool> .*is not there/);
  expect(await failing({ ...EDGE, flor: '3' })).toMatch(
    /scaler_metadata\["flor"\] is not known here \(known are pool, .*did you mean "floor"/,
  );
  expect(await failing({ ...EDGE, floor: '-1' })).toMatch(/scaler_metadata\["floor"\] must be a number from 0 to 100000, but is "-1"/);
  expect(await failing({ ...EDGE, slots: '1.5' })).toMatch(/scaler_metadata\["slots"\] must be a whole number from 1 to 1024/);
  expect(await failing({ ...EDGE, lookAhead: '2' })).toMatch(/scaler_metadata\["lookAhead"\] must be a number from 0 to 1/);
  expect(await failing({ ...EDGE, cpu: 'many' })).toMatch(/scaler_metadata\["cpu"\] must be a number of cores/);
  expect(await failing({ ...EDGE, memory: '0' })).toMatch(/scaler_metadata\["memory"\] must be a size/);
  expect(await failing({ ...EDGE, labels: 'zone=production' })).toMatch(/must not have zone: it comes from/);
  expect(await failing({ ...EDGE, resources: 'gpu' })).toMatch(/scaler_metadata\["resources"\] must be name=count pairs/);
  expect(await failing({ ...EDGE, sandbox: 'strong' })).toMatch(/has "strong", but traits are/);
  expect(await failing({ ...EDGE, zone: 'prod' })).toMatch(/must be one of untrusted, trusted, production, but is "prod"/);
  const { zone: __, ...zoneless } = EDGE;
  expect(await failing(zoneless, 'isActive')).toMatch(/scaler_metadata\["zone"\] must say the zone .* the topology does not list c1/);

  await callUnary(leader.client('stranger'), 'applyTopology', { text: TOPOLOGY, baseDigest: '', reason: '' }, { signal });
  expect(await failing(zoneless, 'isActive')).toBe('answered');
  expect(await failing({ ...EDGE, pool: 'c1/egde' }, 'isActive')).toMatch(
    /INVALID_ARGUMENT scaler_metadata\["pool"\] is c1\/egde, but the topology lists no pool egde in the cluster c1/,
  );
  // What one agent is for is told nevertheless: without it KEDA makes do with a measure of its own.
  expect(await failing({ ...EDGE, pool: 'c1/egde' })).toBe('answered');
});

test('only an autoscaler of the cluster learns of its pools, whichever coordinator it asks', async () => {
  for (const node of [leader, follower]) {
    const codeOf = (own: KeyedCertificate) =>
      keda([node], EDGE, own)
        .isActive()
        .catch((error: { readonly code: number }) => error.code);
    expect(await codeOf(scaler('c1'))).toBe(false);
    expect(await codeOf(scaler('c2'))).toBe(status.PERMISSION_DENIED);
    expect(await codeOf(certificateBy(authority, { agent: { zone: 'trusted', cluster: 'c1', pool: 'edge', id: 'a' } }))).toBe(
      status.PERMISSION_DENIED,
    );
    const foreign = { zone: 'production', cluster: 'c1', name: 'keda' } as const;
    expect(await codeOf(certificateBy(authority, { uri: scalerUri(DOMAIN, foreign) }))).toBe(status.UNAUTHENTICATED);
  }
});
