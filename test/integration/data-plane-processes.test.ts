import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { hashToken } from '../../base/auth.ts';
import { systemClock } from '../../base/clock.ts';
import { grantKeyFrom } from '../../base/grant.ts';
import { silentLogger } from '../../base/log.ts';
import { Secret } from '../../base/secret.ts';
import { keptKeyring } from '../../base/signing.ts';
import { digestOf } from '../../cache/digest.ts';
import { openDataPlane, type MovableDataPlane } from '../../cache/rpc/client.ts';
import { callUnary, dial } from '../../proto/dial.ts';
import { loadProto } from '../../proto/load.ts';
import { expectFault, readAll } from '../contract/blob-store.ts';
import { freePorts } from '../fixtures/ports.ts';
import { ROOT } from '../fixtures/root.ts';
import { startNode } from '../fixtures/run-process.ts';
import { tempDir } from '../fixtures/temp-dir.ts';
import { PATIENCE_MS, until } from '../fixtures/until.ts';

const { signal } = new AbortController();
const env = { log: silentLogger, clock: systemClock };
const AGENT = new Secret('agent-s3cret');
const COORDINATOR = new Secret('coordinator-s3cret');

/** A data plane of two processes, with what its processes tell of themselves. */
async function startTwo() {
  await using stack = new AsyncDisposableStack();
  const dir = stack.use(await tempDir());
  const [keyFile, tokensFile] = [join(dir.path, 'key.pem'), join(dir.path, 'tokens.json')];
  writeFileSync(keyFile, generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
  const agent = { name: 'one', sha256: hashToken(AGENT.reveal()), kind: 'agent', cluster: 'c', pool: 'p', zone: 'trusted' };
  const coordinator = { name: 'coordinator', sha256: hashToken(COORDINATOR.reveal()), kind: 'service' };
  writeFileSync(tokensFile, JSON.stringify([agent, coordinator]));
  const [port] = await freePorts(1);
  const where = ['--listen', '127.0.0.1:0', '--metrics-listen', `127.0.0.1:${port}`, '--dir', dir.path];
  const who = ['--tokens-file', tokensFile, '--signing-key-file', keyFile, '--allow-local', '--local-project', 'web'];
  const running = stack.use(startNode([join(ROOT, 'cache/main.ts'), '--processes', '2', ...where, ...who]));
  const address = String((await running.ready(PATIENCE_MS))['address']);
  /** By process, so many of its calls of this method. */
  const callsOf = async (method: string): Promise<ReadonlyMap<string, number>> => {
    const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
    const line = new RegExp(`^switchyard_data_requests_total\\{method="${method}",outcome="ok",process="(\\d+)"\\} (\\d+)$`, 'gm');
    return new Map(Array.from(text.matchAll(line), ([, process = '', count]) => [process, Number(count)]));
  };
  const pids = () => readFileSync(`/proc/${running.pid}/task/${running.pid}/children`, 'utf8').trim().split(' ').map(Number);
  const parts = stack.move();
  /** Each has a connection of its own. */
  const connect = (token?: Secret): MovableDataPlane => parts.use(openDataPlane({ link: { address, token }, instanceName: '', env }));
  return { running, address, keyFile, callsOf, pids, connect, [Symbol.asyncDispose]: () => parts.disposeAsync() };
}

test(
  'two processes take the connections in turns, and what one has stored the other serves; SIGTERM ends both',
  { timeout: 120_000 },
  async () => {
    await using two = await startTwo();
    const [first, second] = [two.connect().store, two.connect().store];
    const bytes = randomBytes(1_000_000);
    await first.put(digestOf(bytes), bytes, signal);
    expect((await readAll(second, digestOf(bytes))).equals(bytes)).toBe(true);
    for (const store of [first, second]) expect(await store.findMissing([digestOf(bytes)], signal)).toEqual([]);
    expect([...(await two.callsOf('FindMissingBlobs')).keys()].toSorted()).toEqual(['1', '2']);
    two.running.kill('SIGTERM');
    expect(await two.running.ended).toEqual({ code: 0, signal: null });
  },
);

test('one that is killed is started again, and the other serves meanwhile', { timeout: 240_000 }, async () => {
  await using two = await startTwo();
  const bytes = randomBytes(1_000_000);
  await two.connect().store.put(digestOf(bytes), bytes, signal);
  const [victim = 0, survivor = 0] = two.pids();
  process.kill(victim, 'SIGKILL');
  expect((await readAll(two.connect().store, digestOf(bytes))).equals(bytes)).toBe(true);
  await until('there are two again', () => two.pids().length === 2 && !two.pids().includes(victim));
  expect(two.pids()).toContain(survivor);
  expect(two.running.stderr()).toContain('data-plane-process-ended');
  await until('the new one has taken a connection', async () => {
    await two.connect().store.findMissing([digestOf(bytes)], signal);
    return (await two.callsOf('FindMissingBlobs')).has('3');
  });
});

test('an attempt that has ended for one process has ended for both', { timeout: 120_000 }, async () => {
  await using two = await startTwo();
  const key = grantKeyFrom(keptKeyring(two.keyFile));
  const about = { project: 'web', reads: ['main'], writes: 'main', agent: 'one', zone: 'trusted', producer: 'p' } as const;
  const grant = key.seal({ ...about, token: 'attempt-1', expiresAt: systemClock.now() + 600_000 });
  const stores = [1, 2, 3, 4].map(() => two.connect(AGENT).withGrant('web/main', () => grant).store);
  const bytes = randomBytes(1_000);
  for (const store of stores) await store.put(digestOf(bytes), bytes, signal);
  const control = dial(loadProto().switchyard.v1.DataAccess, { address: two.address, token: COORDINATOR }, 'control');
  await callUnary(control, 'updateGrants', { endedTokens: ['attempt-1'] }, { signal });
  control.close();
  for (const store of stores) await expectFault('FORBIDDEN', store.findMissing([digestOf(bytes)], signal));
});

test('what either process refuses is told to who asks one of them, until it says that it is kept', { timeout: 120_000 }, async () => {
  await using two = await startTwo();
  for (const { store } of [two.connect(AGENT), two.connect(AGENT)])
    await expectFault('FORBIDDEN', store.findMissing([digestOf(Buffer.from('any'))], signal));
  const control = dial(loadProto().switchyard.v1.DataAccess, { address: two.address, token: COORDINATOR }, 'control');
  const take = async (keptBatches: string[]) => (await callUnary(control, 'takeRefusals', { keptBatches }, { signal })).batches;
  const batches = await take([]);
  const refusal = {
    actor: 'one',
    subject: expect.stringContaining('FindMissingBlobs'),
    detail: expect.stringContaining('grant'),
    count: '1',
  };
  expect(batches).toMatchObject([{ refusals: [refusal] }, { refusals: [refusal] }]);
  const ids = batches.map(({ id }) => id);
  expect((await take([])).map(({ id }) => id).toSorted()).toEqual(ids.toSorted());
  expect(await take(ids)).toEqual([]);
  control.close();
});

test('several processes for one bucket, or an address that is taken, are refused with what to do', { timeout: 120_000 }, async () => {
  await using two = await startTwo();
  await using dir = await tempDir();
  for (const [args, message] of [
    [['--store', 's3', '--s3-bucket', 'blobs'], 'start more data planes instead'],
    [['--listen', two.address], `Cannot listen on ${two.address}`],
  ] as const) {
    await using running = startNode([join(ROOT, 'cache/main.ts'), '--processes', '2', '--allow-local', '--dir', dir.path, ...args]);
    expect((await running.ended).code).toBe(2);
    expect(running.stderr()).toContain(message);
  }
});
