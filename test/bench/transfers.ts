import { createHash, randomBytes } from 'node:crypto';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { prngFrom } from '../../base/prng.ts';
import type { BlobStore } from '../../cache/blob-store.ts';
import { digestFrom, digestOf, type Digest } from '../../cache/digest.ts';
import { openFileWriters } from '../../cache/layer/file-writers.ts';
import { fetchFiles } from '../../cache/layer/place-files.ts';
import { uploadTree } from '../../cache/tree/upload.ts';
import type { Bench, BenchOptions, Figure } from './bench.ts';
import { never, startRig, type Rig } from './layers/rig.ts';

const CASES = ['uploads', 'large', 'through'] as const;
const MIB = 1024 * 1024;
/** What a store gives one connection: as much as S3 does, and a third of it, as across regions. */
const LIMITS = [90_000_000, 30_000_000];

/** An agent, a data plane and a bucket, each a process of its own: what passes the data plane by, and what goes through it. */
export const transfersBench: Bench = {
  name: 'transfers',
  about: 'bytes between agents and the bucket, past the data plane and through it',
  knowsPeers: false,
  cases: CASES,
  async *run({ env, quick, only }) {
    const wants = (name: (typeof CASES)[number]) => only === undefined || only === name;
    await using stack = new AsyncDisposableStack();
    const dir = mkdtempSync(join(tmpdir(), 'switchyard-transfers-'));
    stack.defer(() => rmSync(dir, { recursive: true, force: true }));
    const rig = stack.use(await startRig(dir, env));
    if (wants('uploads')) yield* uploads(rig, env, quick ? 2_000 : 20_000);
    if (wants('large')) yield* large(rig, env, dir, (quick ? 64 : 768) * MIB);
    if (wants('through')) yield* through(rig, env, (quick ? 64 : 20 * 1024) * MIB);
  },
};

type Env = BenchOptions['env'];

/** The store as agents had it that put nothing themselves. */
function withoutSink(store: BlobStore): BlobStore {
  const { traits, get, put, findMissing } = store;
  return { traits, get, put, findMissing };
}

/** Many small files of source-like text, saved once by packs of the agent's own and once through the data plane, twice each. */
async function* uploads(rig: Rig, env: Env, count: number): AsyncGenerator<Figure> {
  const ways = [
    ['through the data plane', withoutSink(rig.store)],
    ['packs put by the agent', rig.store],
  ] as const;
  const seconds = new Map<string, number>();
  for (const [round, [way, store]] of [...ways, ...ways.toReversed()].entries()) {
    const blobs = new Map<Digest, { readonly kind: 'bytes'; readonly bytes: Uint8Array }>();
    for (let index = 0; index < count; index += 1) {
      const bytes = textOf(round * count + index, 6_000);
      blobs.set(digestOf(bytes), { kind: 'bytes', bytes });
    }
    const before = await rig.meter();
    const startedAt = env.clock.monotonic();
    await uploadTree({ blobs }, store, never);
    const took = (env.clock.monotonic() - startedAt) / 1_000;
    const after = await rig.meter();
    seconds.set(way, Math.min(took, seconds.get(way) ?? Number.POSITIVE_INFINITY));
    const name = `${count} files of 6 kB, ${way}`;
    yield { case: name, metric: 'time', value: took, unit: 's' };
    yield { case: name, metric: 'processor time of the data plane', value: after.planeSeconds - before.planeSeconds, unit: 's' };
    yield { case: name, metric: 'processor time of both', value: after.cpuSeconds - before.cpuSeconds, unit: 's' };
    yield { case: name, metric: 'to and from the bucket', value: (after.bytes - before.bytes) / 1e6, unit: 'MB' };
  }
}

/**
 * Three files at once that do not compress, onto the disk, from a bucket that holds each connection to a rate, beside one stream of as
 * many bytes.
 */
async function* large(rig: Rig, env: Env, dir: string, bytes: number): AsyncGenerator<Figure> {
  await using writers = openFileWriters(env.clock);
  const files = await Promise.all(
    [0, 1, 2].map(async () => {
      const content = randomBytes(bytes / 3);
      await rig.store.put(digestOf(content), content, never);
      return digestOf(content);
    }),
  );
  const whole = 'large/whole';
  const chunk = randomBytes(MIB);
  const open = async function* () {
    for (let at = 0; at < bytes; at += MIB) yield chunk;
  };
  await rig.objects.put(whole, { lengthBytes: bytes, open }, { ifAbsent: false }, never);
  for (const limit of LIMITS) {
    await rig.limit(limit);
    await rig.coolDown();
    const single = await timed(env, () => written(rig.objects.get(whole, undefined, never), join(dir, 'whole')));
    rmSync(join(dir, 'whole'));
    const before = await rig.meter();
    const toPlace = files.map((digest, index) => ({ path: join(dir, `large-${index}`), digest, executable: false, mode: 0o644 }));
    const read = await timed(env, () => fetchFiles(toPlace, rig.store, writers, never));
    const after = await rig.meter();
    for (const file of toPlace) rmSync(file.path);
    const name = `3 files, ${bytes / MIB} MiB, ${limit / 1e6} MB/s a connection`;
    yield { case: name, metric: 'one stream of all', value: single, unit: 's' };
    yield { case: name, metric: 'read by the agent', value: read, unit: 's' };
    yield { case: name, metric: 'against one stream', value: single / read, unit: 'times' };
    yield { case: name, metric: 'processor time of agent and plane', value: after.cpuSeconds - before.cpuSeconds, unit: 's' };
    yield { case: name, metric: 'bytes asked for', value: (after.bytes - before.bytes) / bytes, unit: 'times' };
    yield { case: name, metric: 'requests', value: after.requests - before.requests, unit: '' };
  }
  await rig.limit(undefined);
}

/**
 * One file through the data plane and back, which holds no piece twice and compresses a hundredfold, so that the bucket, which is in
 * memory, has room for it. What the data plane keeps resident meanwhile.
 */
async function* through(rig: Rig, env: Env, bytes: number): AsyncGenerator<Figure> {
  const sum = createHash('sha256');
  for (const piece of pieces(bytes)) sum.update(piece);
  const digest = digestFrom(sum.digest('hex'), bytes);
  if (digest === undefined) throw new Error('no digest');
  const name = `one file of ${bytes / MIB} MiB through the data plane`;
  const watch = watchResident(rig.planePid());
  yield { case: name, metric: 'resident before', value: watch.most() / MIB, unit: 'MiB' };
  const source = {
    [Symbol.asyncIterator]: async function* () {
      yield* pieces(bytes);
    },
  };
  const put = await timed(env, () => rig.store.put(digest, source, never));
  yield { case: name, metric: 'stored at', value: bytes / MIB / put, unit: 'MiB/s' };
  yield { case: name, metric: 'resident at most while stored', value: watch.most() / MIB, unit: 'MiB' };
  const read = await timed(env, () => written(rig.store.get(digest, undefined, never), '/dev/null'));
  yield { case: name, metric: 'read at', value: bytes / MIB / read, unit: 'MiB/s' };
  yield { case: name, metric: 'resident at most in all', value: watch.most() / MIB, unit: 'MiB' };
  watch.end();
}

/** Pieces of 1 MiB; in each 4 KiB block other words stand at its beginning. */
function* pieces(bytes: number): Generator<Uint8Array, void, undefined> {
  const filler = Buffer.alloc(MIB, 'what a linker writes between two sections, again and again. ');
  let block = 0;
  for (let at = 0; at < bytes; at += MIB) {
    const piece = Buffer.from(filler);
    for (let start = 0; start < MIB; start += 4_096) piece.writeDoubleLE((block += 1) * Math.PI, start);
    yield piece;
  }
}

type Watch = { readonly most: () => number; readonly end: () => void };

/** The largest resident set of a process, looked at ten times a second; Linux. */
function watchResident(pid: number): Watch {
  let most = 0;
  const look = () => {
    const [, pages = '0'] = readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ');
    most = Math.max(most, Number(pages) * 4_096);
  };
  look();
  const timer = setInterval(look, 100);
  return { most: () => (look(), most), end: () => clearInterval(timer) };
}

function textOf(seed: number, bytes: number): Buffer {
  const prng = prngFrom(seed);
  let text = '';
  while (text.length < bytes) text += `export const value${prng.below(1_000)} = compute(${prng.below(100)}, 'name-${prng.below(50)}');\n`;
  return Buffer.from(text.slice(0, bytes));
}

async function timed(env: Env, work: () => Promise<unknown>): Promise<number> {
  const startedAt = env.clock.monotonic();
  await work();
  return (env.clock.monotonic() - startedAt) / 1_000;
}

async function written(source: AsyncIterable<Uint8Array>, path: string): Promise<void> {
  const fd = openSync(path, 'w');
  try {
    for await (const chunk of source) writeSync(fd, chunk);
  } finally {
    closeSync(fd);
  }
}
