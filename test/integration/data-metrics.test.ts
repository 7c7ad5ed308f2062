import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import { silentLogger } from '../../base/log.ts';
import { hashToken } from '../../base/auth.ts';
import { openBreaker } from '../../base/breaker.ts';
import { prngFrom } from '../../base/prng.ts';
import { Secret } from '../../base/secret.ts';
import { encodeStepResult } from '../../cache/action/action-result.ts';
import { NO_USAGE } from '../../cache/action/result.ts';
import { parseCacheConfig } from '../../cache/config.ts';
import { digestOf } from '../../cache/digest.ts';
import { NO_PROVENANCE } from '../../cache/entries/entry-store.ts';
import { openDataPlane } from '../../cache/rpc/client.ts';
import { openEntryClient } from '../../cache/rpc/entry-client.ts';
import { startCache } from '../../cache/start.ts';
import { startFakeS3, type FakeS3 } from '../fixtures/fake-s3.ts';
import { tempDir } from '../fixtures/temp-dir.ts';

const { signal } = new AbortController();
const env = { log: silentLogger, clock: systemClock };
const owner = { project: 'web', scope: 'main' };

/** A data plane, its clients, and what it tells in numbers. */
async function openPlane(s3?: FakeS3) {
  await using stack = new AsyncDisposableStack();
  const dir = stack.use(await tempDir());
  const tokens = join(dir.path, 'tokens.json');
  await writeFile(tokens, JSON.stringify([{ name: 'coordinator', sha256: hashToken('service'), kind: 'service' }]));
  const where = ['--listen', '127.0.0.1:0', '--metrics-listen', '127.0.0.1:0', '--dir', join(dir.path, 'blobs'), '--tokens-file', tokens];
  const store =
    s3 === undefined
      ? []
      : ['--store', 's3', '--s3-endpoint', s3.endpoint, '--s3-bucket', s3.bucket, '--s3-access-key-id', s3.traits.keys.accessKeyId];
  const secret = s3 === undefined ? {} : { SWITCHYARD_CACHE_S3_SECRET_ACCESS_KEY: s3.traits.keys.secretAccessKey };
  const cache = stack.use(await startCache(parseCacheConfig(secret, [...where, ...store]), env));
  const link = { address: cache.address, token: new Secret('service') };
  const data = stack.use(openDataPlane({ link, instanceName: 'web/main', env }));
  const breaker = openBreaker({
    dependency: 'store',
    code: 'STORE_UNAVAILABLE',
    clock: systemClock,
    prng: prngFrom(1),
    onChange: () => {},
  });
  const entries = stack.use(openEntryClient({ link, breaker }));
  const ask = (path: string) => fetch(`http://${cache.metricsAddress}${path}`);
  const parts = stack.move();
  return {
    store: data.store,
    entries,
    ask,
    /** The sum of a metric over all labels that hold `labels`. */
    async value(name: string, ...labels: readonly string[]) {
      const lines = (await (await ask('/metrics')).text())
        .split('\n')
        .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));
      return lines
        .filter((line) => labels.every((label) => line.includes(label)))
        .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
    },
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  };
}

const entryOf = (key: string, bytes: Uint8Array) => ({
  at: { kind: 'dependency' as const, owner, key },
  value: encodeStepResult({
    exitCode: 0,
    outputs: [{ kind: 'file', path: 'out', digest: digestOf(bytes), executable: false }],
    log: undefined,
    usage: NO_USAGE,
    agent: 'a',
    startedAt: 1,
    endedAt: 2,
  }),
  parts: [],
  provenance: { ...NO_PROVENANCE, build: 'b1', writer: 'executor' as const },
  writtenAt: 0,
});

describe('a data plane over a bucket', () => {
  test('counts what goes into the bucket and comes out of it, in requests, packs and bytes', async () => {
    await using s3 = await startFakeS3();
    await using plane = await openPlane(s3);
    const bytes = randomBytes(3_000_000);
    await plane.store.put(digestOf(bytes), bytes, signal);
    for await (const _ of plane.store.get(digestOf(bytes), undefined, signal));
    expect(await plane.value('switchyard_packs_stored_total')).toBeGreaterThan(0);
    expect(await plane.value('switchyard_packs_stored_bytes_total')).toBeGreaterThan(3_000_000);
    expect(await plane.value('switchyard_bucket_bytes_total', 'direction="in"')).toBeGreaterThan(3_000_000);
    expect(await plane.value('switchyard_bucket_requests_total', 'operation="put"', 'outcome="ok"')).toBeGreaterThan(0);
    expect(await plane.value('switchyard_pack_seconds_count', 'phase="gather"')).toBeGreaterThan(0);
    expect(await plane.value('switchyard_tier_reads_total', 'found="hit"')).toBe(1);
    expect(await plane.value('switchyard_data_blob_bytes_total', 'direction="out"')).toBe(3_000_000);
    expect(await plane.value('switchyard_data_directory_bytes', 'directory="tier"')).toBe(3_000_000);
    expect(await plane.value('switchyard_gc_passes_total')).toBe(0);
  });

  test('counts calls that the bucket refuses by their fault, and the faults that its breaker saw', async () => {
    await using s3 = await startFakeS3();
    await using plane = await openPlane(s3);
    expect((await plane.ask('/readyz')).status).toBe(200);
    s3.decide = ({ method }) => (method === 'PUT' ? { kind: 'refuse', status: 501, code: 'NotImplemented' } : undefined);
    const bytes = randomBytes(1_000);
    await plane.store.put(digestOf(bytes), bytes, signal).catch(() => {}); // staged, or refused where there is no room for that
    expect(await plane.value('switchyard_bucket_requests_total', 'operation="put"', 'outcome="STORE_UNAVAILABLE"')).toBeGreaterThan(0);
    expect(await plane.value('switchyard_dependency_faults_total')).toBeGreaterThan(0);
  });
});

describe('a data plane over files', () => {
  test('counts calls by method, entries that are found and missed by cause, and keys that lead to two contents', async () => {
    await using plane = await openPlane();
    const [one, two] = [randomBytes(1_000), randomBytes(2_000)];
    for (const bytes of [one, two]) await plane.store.put(digestOf(bytes), bytes, signal);
    expect(await plane.entries.find('dependency', owner, 'npm/1', ['npm/'], signal)).toBeUndefined();
    expect((await plane.entries.put(entryOf('npm/1', one), { replace: false }, signal)).kind).toBe('kept');
    expect((await plane.entries.put(entryOf('npm/1', two), { replace: false }, signal)).kind).toBe('differs');
    expect(await plane.entries.find('dependency', owner, 'npm/1', [], signal)).toBeDefined();
    expect(await plane.entries.find('dependency', owner, 'npm/2', ['npm/'], signal)).toBeDefined();
    expect(await plane.value('switchyard_entry_hits_total', 'kind="dependency"', 'by="key"')).toBe(1);
    expect(await plane.value('switchyard_entry_hits_total', 'by="prefix"')).toBe(1);
    expect(await plane.value('switchyard_entry_misses_total', 'cause="absent"')).toBe(3);
    expect(await plane.value('switchyard_entry_puts_total', 'outcome="differs"')).toBe(1);
    expect(await plane.value('switchyard_data_requests_total', 'method="FindEntry"', 'outcome="ok"')).toBe(3);
    expect(await plane.value('switchyard_data_directory_files', 'directory="entries"')).toBe(1);
    expect((await plane.ask('/livez')).status).toBe(200);
  });

  test('names no project, scope or caller in a label, whatever they are called', async () => {
    await using plane = await openPlane();
    const bytes = randomBytes(10);
    await plane.store.put(digestOf(bytes), bytes, signal);
    const text = await (await plane.ask('/metrics')).text();
    const ours = text.split('\n').filter((line) => line.startsWith('switchyard_'));
    expect(ours.filter((line) => /\bmain\b|web|coordinator/.test(line))).toEqual([]);
  });
});
