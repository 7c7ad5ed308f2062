import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import { memoryLogger } from '../../base/log.ts';
import { chunked, expectFault, readAll } from '../../test/contract/blob-store.ts';
import { viewIn } from '../../test/contract/store-of.ts';
import { startFakeS3, type Misbehaviour } from '../../test/fixtures/fake-s3.ts';
import { digestOf } from '../digest.ts';
import { openS3Objects } from '../objects/s3.ts';
import { memoryStoreIndex } from '../store-index/memory.ts';
import { openPackStore } from './open.ts';

const { signal } = new AbortController();

/** Packs over a small S3 that misbehaves as the test says, and gives up early. */
async function openOverS3() {
  await using stack = new AsyncDisposableStack();
  const env = { log: memoryLogger(), clock: systemClock };
  const s3 = stack.use(await startFakeS3());
  const tuning = { answerMs: 300, stallMs: 300, tries: 2, backoff: { initialMs: 1, maxMs: 5 } };
  const objects = stack.use(await openS3Objects({ config: s3.config, env, tuning }, signal));
  const index = stack.use(memoryStoreIndex({ clock: systemClock }));
  const packs = stack.use(openPackStore({ objects, index, env, settings: { idleMs: 2, hedgeMs: 200, cacheBytes: 0 } }));
  const parts = stack.move();
  return { s3, packs, log: env.log, [Symbol.asyncDispose]: () => parts.disposeAsync() };
}

const READS: readonly Misbehaviour[] = [
  { kind: 'refuse', status: 503, code: 'SlowDown' },
  { kind: 'refuse', status: 500, code: 'InternalError' },
  { kind: 'drop' },
  { kind: 'hang' },
  { kind: 'stall', afterBytes: 1_000 },
  { kind: 'cut', afterBytes: 1_000 },
  { kind: 'wrong-length', by: 100 },
  { kind: 'wrong-length', by: -100 },
  { kind: 'truncate', bytes: 700 },
  { kind: 'corrupt', offset: 500 },
  { kind: 'ignore-range' },
];

test.for(READS)('a read that meets $kind once gives the right bytes all the same', async (trouble) => {
  await using bucket = await openOverS3();
  const { s3, packs } = bucket;
  const store = packs.storeOf(viewIn('web', 'main'));
  const blobs = [randomBytes(40_000), randomBytes(3_000_000)];
  for (const bytes of blobs) await store.put(digestOf(bytes), chunked(bytes, 100_000), signal);
  for (const bytes of blobs) {
    let left = 1;
    s3.decide = ({ method }) => (method === 'GET' && (left -= 1) >= 0 ? trouble : undefined);
    expect((await readAll(store, digestOf(bytes))).equals(bytes)).toBe(true);
    expect(await store.findMissing([digestOf(bytes)], signal)).toEqual([]);
  }
});

test.for<Misbehaviour>([{ kind: 'refuse', status: 503, code: 'SlowDown' }, { kind: 'drop' }, { kind: 'do-and-drop' }])(
  'a put that meets $kind a few times is stored',
  async (trouble) => {
    await using bucket = await openOverS3();
    const { s3, packs } = bucket;
    const store = packs.storeOf(viewIn('web', 'main'));
    const bytes = randomBytes(2_000_000);
    let left = 5;
    s3.decide = ({ method }) => (method === 'PUT' && (left -= 1) >= 0 ? trouble : undefined);
    await store.put(digestOf(bytes), chunked(bytes, 100_000), signal);
    expect((await readAll(store, digestOf(bytes))).equals(bytes)).toBe(true);
  },
);

test('a bucket that stays away fails reads and puts as what they are, and nothing is forgotten or shown', async () => {
  await using bucket = await openOverS3();
  const { s3, packs } = bucket;
  const store = packs.storeOf(viewIn('web', 'main'));
  const [there, new_] = [randomBytes(5_000), randomBytes(6_000)];
  await store.put(digestOf(there), there, signal);
  s3.decide = () => ({ kind: 'refuse', status: 503, code: 'SlowDown' });
  await expectFault('STORE_UNAVAILABLE', readAll(store, digestOf(there)));
  await expectFault('STORE_UNAVAILABLE', store.put(digestOf(new_), new_, signal));
  s3.decide = () => undefined;
  expect(await store.findMissing([digestOf(there), digestOf(new_)], signal)).toEqual([digestOf(new_)]);
  expect((await readAll(store, digestOf(there))).equals(there)).toBe(true);
});
