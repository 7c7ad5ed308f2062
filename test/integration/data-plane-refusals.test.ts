import { request } from 'node:https';
import { join } from 'node:path';
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import { isFault } from '../../base/fault.ts';
import { Secret } from '../../base/secret.ts';
import { digestOf } from '../../cache/digest.ts';
import { digestToProto } from '../../proto/convert.ts';
import { callUnary, dial } from '../../proto/dial.ts';
import { loadProto } from '../../proto/load.ts';
import { startIdentityYard, type IdentityYard } from '../fixtures/identity-yard.ts';
import { freePorts } from '../fixtures/ports.ts';
import { present } from '../../base/assert.ts';
import { until } from '../fixtures/until.ts';

const signal = new AbortController().signal;
const { v2 } = loadProto().build.bazel.remote.execution;
const BYTES = Buffer.from('some bytes');

/** What a caller with that token is answered who stores bytes under an instance name. */
async function store(yard: IdentityYard, token: string, instanceName: string): Promise<string> {
  const { dataAddress } = present(yard.coordinators[0], 'there is one coordinator');
  const client = dial(v2.ContentAddressableStorage, { address: dataAddress, token: new Secret(token), tls: yard.tls }, 'bulk');
  try {
    const requests = [{ digest: digestToProto(digestOf(BYTES)), data: BYTES }];
    await callUnary(client, 'batchUpdateBlobs', { instanceName, requests }, { signal });
    return 'ok';
  } catch (error) {
    if (isFault(error)) return error.code;
    throw error;
  } finally {
    client.close();
  }
}

/** The records of refused calls that name it, once there are so many refusals among them. */
async function recordsOf(yard: IdentityYard, subject: string, refusals: number) {
  const find = async () => {
    const { records } = await yard.identity().audit({ act: 'call', outcome: 'refused', limit: 1_000 }, signal);
    return records.filter((record) => record.subject.includes(subject));
  };
  const count = (records: Awaited<ReturnType<typeof find>>) => records.reduce((sum, record) => sum + Number(record.count), 0);
  await until('the refusals are recorded', async () => count(await find()) >= refusals);
  const records = await find();
  expect(count(records)).toBe(refusals);
  return records;
}

test('what the data plane refuses is in the record of its coordinator', { timeout: 120_000 }, async () => {
  await using yard = await startIdentityYard();
  expect(await store(yard, 'nobody', 'shop/main')).toBe('UNAUTHENTICATED');
  expect(await store(yard, 'fork', 'shop/main')).toBe('FORBIDDEN');
  expect(await store(yard, 'fork', 'shop/main/pr-7')).toBe('ok');
  const rpc = 'build.bazel.remote.execution.v2.ContentAddressableStorage/BatchUpdateBlobs';
  const records = await recordsOf(yard, rpc, 2);
  const peer = expect.stringMatching(/^127\.0\.0\.1:\d+$/);
  const source = `data plane ${yard.coordinators[0]?.dataAddress}`;
  expect(records.toSorted((a, b) => a.actor.localeCompare(b.actor))).toMatchObject([
    { actor: '', subject: rpc, detail: expect.stringContaining('token'), count: '1', peer, source },
    { actor: 'fork', subject: rpc, detail: expect.stringContaining('main'), count: '1', peer, source },
  ]);
});

test('of a flood on the data plane all are counted, and about 20 a second have a record', { timeout: 240_000 }, async () => {
  await using yard = await startIdentityYard();
  const CALLS = 300;
  const startedAt = systemClock.monotonic();
  const answers = await Promise.all(Array.from({ length: CALLS }, (_, index) => store(yard, 'fork', `shop-${index}/main`)));
  expect(new Set(answers)).toEqual(new Set(['FORBIDDEN']));
  let records = 0;
  await until('all are counted', async () => {
    const page = await yard.identity().audit({ act: 'call', outcome: 'refused', limit: 1_000 }, signal);
    records = page.records.length;
    return page.records.reduce((sum, { count }) => sum + Number(count), 0) >= CALLS;
  });
  const looks = 2 + (systemClock.monotonic() - startedAt) / 1_000; // each look takes one batch
  expect(records).toBeLessThanOrEqual(21 * looks);
  const { records: listed } = await yard.identity().audit({ act: 'call', outcome: 'refused', limit: 1_000 }, signal);
  expect(listed.some(({ detail }) => detail.includes('not told apart'))).toBe(true);
});

test('what the HTTP caches refuse is in the record, with the tool, the method and who asked', { timeout: 120_000 }, async () => {
  const [port] = await freePorts(1);
  await using yard = await startIdentityYard({ args: ['--data-http-listen', `127.0.0.1:${port}`] });
  const ca = readFileSync(join(yard.dir, 'trusted.pem'));
  const path = '/ccache/0123456789abcdef';
  const put = (token: string) =>
    new Promise<number | undefined>((resolve, reject) => {
      const headers = { authorization: `Bearer ${token}`, 'content-length': '1' };
      const sent = request({ host: '127.0.0.1', port, path, method: 'PUT', ca, headers }, (answer) => {
        answer.resume();
        answer.once('end', () => resolve(answer.statusCode));
      });
      sent.once('error', reject);
      sent.end('x');
    });
  expect(await put('nobody')).toBe(401);
  expect(await put('viewer')).toBe(403);
  const records = await recordsOf(yard, 'http-', 2);
  expect(records.toSorted((a, b) => a.actor.localeCompare(b.actor))).toMatchObject([
    { actor: '', subject: 'http-ccache/PUT', count: '1' },
    { actor: 'viewer', subject: 'http-ccache/PUT', count: '1' },
  ]);
});
