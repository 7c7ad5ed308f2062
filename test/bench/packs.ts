import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Env } from '../../base/env.ts';
import { prngFrom } from '../../base/prng.ts';
import { digestFrom, digestOf, type Digest } from '../../cache/digest.ts';
import type { ObjectStore } from '../../cache/objects/object-store.ts';
import { openS3Objects } from '../../cache/objects/s3.ts';
import { CHUNK_SIZES, contentPieces } from '../../cache/packs/chunker.ts';
import { openPackStore, type PackStore } from '../../cache/packs/open.ts';
import { openSqliteStoreIndex } from '../../cache/store-index/sqlite/sqlite.ts';
import type { StoreView } from '../../cache/store-view.ts';
import { startFakeS3 } from '../fixtures/fake-s3.ts';
import { startNode } from '../fixtures/run-process.ts';
import { tempDir } from '../fixtures/temp-dir.ts';
import type { Bench, Figure } from './bench.ts';

const CASES = ['chunker', 'small', 'large', 'limited', 'memory'] as const;
const MIB = 1024 * 1024;
const VIEW: StoreView = { project: 'web', reads: ['main'], writes: 'main', producer: 'bench' };
const { signal } = new AbortController();

/** Packs over a bucket in another process: what storing and reading costs, in time, requests and processor time of ours. */
export const packsBench: Bench = {
  name: 'packs',
  about: 'storing and reading many small blobs and large ones in packs',
  knowsPeers: false,
  cases: CASES,
  async *run({ env, quick, only }) {
    const scale = quick ? 1 : 8;
    const wants = (name: (typeof CASES)[number]) => only === undefined || only === name;
    if (wants('chunker')) yield* chunker(env, 32 * scale);
    if (wants('small')) yield* small(env, 2_500 * scale);
    if (wants('large')) yield* large(env, 32 * scale);
    if (wants('limited')) yield* limited(env, 8 * scale);
    if (wants('memory')) yield* memory(env, 128 * scale);
  },
};

type Span = { readonly seconds: number; readonly cpuSeconds: number };

async function timed(env: Env, work: () => Promise<unknown>): Promise<Span> {
  const startedAt = env.clock.monotonic();
  const cpu = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(cpu);
  return { seconds: (env.clock.monotonic() - startedAt) / 1_000, cpuSeconds: (user + system) / 1e6 };
}

function* figuresOf(of: string, bytes: number, { seconds, cpuSeconds }: Span, requests?: number): Generator<Figure> {
  yield { case: of, metric: 'rate', value: bytes / MIB / seconds, unit: 'MiB/s' };
  yield { case: of, metric: 'processor time', value: cpuSeconds / (bytes / MIB / 1_024), unit: 's/GiB' };
  if (requests !== undefined) yield { case: of, metric: 'requests', value: requests, unit: '' };
}

/** Text of words, which compresses about as code does. */
function textOf(seed: number, bytes: number): Buffer {
  const prng = prngFrom(seed);
  const words = Array.from({ length: 4_000 }, () =>
    Array.from({ length: 2 + prng.below(9) }, () => String.fromCharCode(97 + prng.below(26))).join(''),
  );
  const out = Buffer.allocUnsafe(bytes);
  for (let at = 0; at < bytes;) at += out.write(`${words[Math.floor(4_000 * prng.next() ** 3)] ?? ''} `, at, 'latin1') || bytes;
  return out;
}

type Opened = { readonly packs: PackStore; readonly reopen: () => PackStore } & AsyncDisposable;

/** A pack store over a bucket in a process of its own. `reopen` gives one with nothing in memory. */
async function open(env: Env, latencyMs: number, bytesPerSecond: number): Promise<Opened> {
  await using stack = new AsyncDisposableStack();
  const dir = stack.use(await tempDir());
  const bucket = stack.use(
    startNode([fileURLToPath(new URL('packs-bucket.ts', import.meta.url)), String(latencyMs), String(bytesPerSecond)], { stdin: 'pipe' }),
  );
  const { endpoint } = await bucket.ready();
  // Only for its keys: the bucket that is used runs in the other process.
  const template = stack.use(await startFakeS3());
  const config = { ...template.config, endpoint: String(endpoint) };
  const objects = stack.use(await openS3Objects({ config, env }, signal));
  const index = stack.use(await openSqliteStoreIndex({ path: join(dir.path, 'index.sqlite'), env }));
  await index.open((await index.epoch(signal)).epoch, signal);
  const parts = stack.move();
  const reopen = () => parts.use(openPackStore({ objects, index, env }));
  return { packs: reopen(), reopen, [Symbol.asyncDispose]: () => parts.disposeAsync() };
}

async function* chunker(env: Env, mib: number): AsyncGenerator<Figure> {
  const bytes = textOf(1, 16 * MIB);
  const source = async function* () {
    for (let count = 0; count < mib / 16; count += 1) yield bytes;
  };
  const cut = async () => {
    for await (const piece of contentPieces(source(), CHUNK_SIZES)) if (piece.byteLength === 0) throw new Error('an empty piece');
  };
  await cut(); // warm
  yield* figuresOf('cutting by content', mib * MIB, await timed(env, cut));
}

/** The sizes of a node_modules: half of the files below 600 bytes, one in ten above 4 KiB. */
async function* small(env: Env, count: number): AsyncGenerator<Figure> {
  const text = textOf(2, 4 * MIB);
  const prng = prngFrom(3);
  const blobs = Array.from({ length: count }, () => {
    const size = Math.min(200_000, Math.floor(540 * Math.exp(1.6 * (prng.next() + prng.next() + prng.next() - 1.5) * 2)));
    const start = prng.below(text.byteLength - size);
    return Buffer.concat([Buffer.from(`${start} `), text.subarray(start, start + size)]);
  });
  const bytes = blobs.reduce((sum, { byteLength }) => sum + byteLength, 0);
  await using opened = await open(env, 10, 0);
  const { packs } = opened;
  const store = packs.storeOf(VIEW);
  const name = `${count} small blobs, ${(bytes / MIB).toFixed(0)} MiB, 10 ms to the bucket`;
  const put = await timed(env, () => atOnce(256, blobs, (blob) => store.put(digestOf(blob), blob, signal)));
  yield { case: `${name}: put`, metric: 'blobs', value: count / put.seconds, unit: '/s' };
  yield* figuresOf(`${name}: put`, bytes, put, packs.counters.packsPut);
  const digests = blobs.map(digestOf);
  const many = opened.reopen();
  const bulk = await timed(env, () => many.getMany(VIEW, digests, () => {}, signal));
  yield { case: `${name}: read in bulk`, metric: 'blobs', value: count / bulk.seconds, unit: '/s' };
  yield* figuresOf(`${name}: read in bulk`, bytes, bulk, many.counters.ranges);
  const single = opened.reopen();
  const each = await timed(env, () => atOnce(256, digests, (digest) => drain(single, digest)));
  yield { case: `${name}: read one by one`, metric: 'blobs', value: count / each.seconds, unit: '/s' };
  yield* figuresOf(`${name}: read one by one`, bytes, each, single.counters.ranges);
}

async function* large(env: Env, mib: number): AsyncGenerator<Figure> {
  for (const [what, piece] of [
    ['text', textOf(4, 8 * MIB)],
    ['random', Buffer.from(randomOf(5, 8 * MIB))],
  ] as const) {
    await using opened = await open(env, 10, 0);
    const { digest, source } = blobOf(piece, mib / 8);
    const name = `one blob of ${mib} MiB, ${what}, 10 ms to the bucket`;
    const put = await timed(env, () => opened.packs.storeOf(VIEW).put(digest, source(), signal));
    yield* figuresOf(`${name}: put`, mib * MIB, put, opened.packs.counters.packsPut);
    const reader = opened.reopen();
    yield* figuresOf(`${name}: read`, mib * MIB, await timed(env, () => drain(reader, digest)), reader.counters.ranges);
  }
}

/** A bucket that gives each connection 20 MB/s, as object stores do with 90: against one request for all of it. */
async function* limited(env: Env, mib: number): AsyncGenerator<Figure> {
  await using opened = await open(env, 20, 20_000_000);
  const { digest, source } = blobOf(Buffer.from(randomOf(6, 8 * MIB)), mib / 8);
  await opened.packs.storeOf(VIEW).put(digest, source(), signal);
  const reader = opened.reopen();
  const name = `one blob of ${mib} MiB, 20 MB/s a connection: read`;
  const read = await timed(env, () => drain(reader, digest));
  yield* figuresOf(name, mib * MIB, read, reader.counters.ranges);
  yield { case: name, metric: 'against one connection', value: (mib * MIB) / 20e6 / read.seconds, unit: 'times' };
}

/** What the process needs while a blob of any size goes through it; the objects are thrown away. */
async function* memory(env: Env, mib: number): AsyncGenerator<Figure> {
  await using dir = await tempDir();
  await using index = await openSqliteStoreIndex({ path: join(dir.path, 'index.sqlite'), env });
  await index.open((await index.epoch(signal)).epoch, signal);
  await using packs = openPackStore({ objects: nowhere(), index, env });
  const { digest, source } = blobOf(Buffer.from(randomOf(7, 8 * MIB)), mib / 8);
  let most = 0;
  const before = process.memoryUsage.rss();
  const watch = setInterval(() => (most = Math.max(most, process.memoryUsage.rss())), 50);
  await packs.storeOf(VIEW).put(digest, source(), signal);
  clearInterval(watch);
  yield { case: `putting one blob of ${mib} MiB`, metric: 'memory beyond the start', value: (most - before) / MIB, unit: 'MiB' };
}

function nowhere(): ObjectStore {
  return {
    traits: { conditionalPut: true, presigned: false, shared: false },
    async put(_key, body) {
      if (!(body instanceof Uint8Array)) for await (const _ of body.open());
    },
    async *get() {},
    head: async () => undefined,
    async *list() {},
    delete: async () => {},
    copy: async () => {},
    abortUploads: async () => 0,
    presignGet: () => '',
    presignPut: () => ({ url: '', headers: {} }),
    async [Symbol.asyncDispose]() {},
  };
}

/** `piece` again and again, each time with other bytes in many places, so that nothing is twice the same. */
function blobOf(piece: Buffer, count: number): { readonly digest: Digest; readonly source: () => AsyncIterable<Uint8Array> } {
  const roundOf = (round: number) => {
    const copy = Buffer.from(piece);
    for (let at = 0; at + 4 <= copy.byteLength; at += 8_192) copy.writeUInt32LE((round * 2_654_435_761) % 2 ** 32, at);
    return copy;
  };
  const sum = createHash('sha256');
  for (let round = 0; round < count; round += 1) sum.update(roundOf(round));
  const digest = digestFrom(sum.digest('hex'), piece.byteLength * count);
  if (digest === undefined) throw new Error('no digest');
  const source = async function* () {
    for (let round = 0; round < count; round += 1) yield roundOf(round);
  };
  return { digest, source };
}

function randomOf(seed: number, bytes: number): Uint8Array {
  const prng = prngFrom(seed);
  const words = new Uint32Array(bytes / 4);
  for (let at = 0; at < words.length; at += 1) words[at] = prng.next() * 2 ** 32;
  return new Uint8Array(words.buffer);
}

async function drain(packs: PackStore, digest: Digest): Promise<void> {
  for await (const _ of packs.storeOf(VIEW).get(digest, undefined, signal));
}

async function atOnce<T>(count: number, items: readonly T[], work: (item: T) => Promise<unknown>): Promise<void> {
  let next = 0;
  const row = async () => {
    for (let item = items[next]; item !== undefined; item = items[next]) {
      next += 1;
      await work(item);
    }
  };
  await Promise.all(Array.from({ length: count }, row));
}
