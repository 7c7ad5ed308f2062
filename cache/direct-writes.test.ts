import { hash, randomBytes } from 'node:crypto';
import zlib from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { systemClock } from '../base/clock.ts';
import { memoryLogger } from '../base/log.ts';
import { prngFrom } from '../base/prng.ts';
import { expectFault, readAll } from '../test/contract/blob-store.ts';
import { viewIn } from '../test/contract/store-of.ts';
import { startFakeS3, type FakeTraits } from '../test/fixtures/fake-s3.ts';
import { directWrites, type UploadingAttempt } from './direct-writes.ts';
import { digestOf, type Digest } from './digest.ts';
import { Collector } from './gc/collector.ts';
import { scrub } from './gc/scrub.ts';
import { GC_SETTINGS } from './gc/settings.ts';
import { openS3Objects } from './objects/s3.ts';
import { encodeFooter, type Footer, type FooterRow } from './packs/format.ts';
import { openPackStore } from './packs/open.ts';
import { rebuildIndex } from './packs/rebuild.ts';
import { memoryStoreIndex } from './store-index/memory.ts';

const { signal } = new AbortController();
const OWN = viewIn('web', 'main/pr-7');
const ABOVE = viewIn('web', 'main');
const OWNER = { project: 'web', scope: 'main/pr-7' };

/** A bucket that checks signatures, and packs in it. */
async function openRig(traits: Partial<FakeTraits> = {}) {
  await using stack = new AsyncDisposableStack();
  const log = memoryLogger();
  const env = { log, clock: systemClock };
  const s3 = stack.use(await startFakeS3(traits));
  const objects = stack.use(await openS3Objects({ config: s3.config, env, prng: prngFrom(3) }, signal));
  const index = stack.use(memoryStoreIndex({ clock: systemClock }));
  const packs = stack.use(openPackStore({ objects, index, env }));
  const writes = directWrites({ objects, index, storeOf: packs.storeOf, env });
  const parts = stack.move();
  const uploads = () => [...s3.objects.keys()].filter((key) => key.startsWith('u/'));
  return { s3, objects, index, packs, writes, env, uploads, [Symbol.asyncDispose]: () => parts.disposeAsync() };
}

type Rig = Awaited<ReturnType<typeof openRig>>;

function attemptOf(id = 'attempt-1'): UploadingAttempt & { end(): void } {
  let isOpen = true;
  return { id, ttlMs: 60_000, isOpen: () => isOpen, end: () => void (isOpen = false) };
}

type Forgery = (footer: Footer) => Footer;

/** A pack of the blobs, each in a frame of its own, as an agent would make it, but for what `forge` changes in its footer. */
function packOfBlobs(blobs: readonly Buffer[], forge: Forgery = (footer) => footer): Buffer {
  const rows = blobs.map((bytes, frame): FooterRow => ({
    digest: digestOf(bytes),
    kind: 'bytes',
    frame,
    offset: 0,
    length: bytes.byteLength,
  }));
  const frames = blobs.map(({ byteLength }) => ({ storedBytes: byteLength, rawBytes: byteLength, encoding: 'raw' }) as const);
  const footer = forge({ owner: OWNER, producer: OWN.producer, writtenAt: systemClock.now(), frames, rows });
  return Buffer.concat([...blobs, encodeFooter(footer)]);
}

const contentOf = (pack: Buffer) => ({ lengthBytes: pack.byteLength, sha256Hex: hash('sha256', pack) });

/** Puts by the planned URL; the status of the answer. */
async function put({ url, headers }: { url: string; headers: Readonly<Record<string, string>> }, pack: Buffer): Promise<number> {
  const sent = { ...headers, 'content-length': String(pack.byteLength) };
  return (await fetch(url, { method: 'PUT', headers: sent, body: Uint8Array.from(pack) })).status;
}

async function upload({ writes }: Rig, attempt: UploadingAttempt, pack: Buffer): Promise<string> {
  const planned = await writes.plan(OWN, attempt, contentOf(pack), signal);
  expect(await put(planned, pack)).toBe(200);
  return planned.upload;
}

const missing = ({ packs }: Rig, view: typeof OWN, digests: readonly Digest[]) => packs.storeOf(view).findMissing(digests, signal);

test('a pack that an attempt put is seen after its commit, in its own scope and nowhere else', async () => {
  await using rig = await openRig();
  const attempt = attemptOf();
  const blobs = [randomBytes(3_000), Buffer.from('text '.repeat(500)), randomBytes(70_000)];
  const digests = blobs.map(digestOf);
  const name = await upload(rig, attempt, packOfBlobs(blobs));
  expect(await missing(rig, OWN, digests)).toEqual(digests);
  await rig.writes.commit(OWN, attempt, name, signal);
  expect(await missing(rig, OWN, digests)).toEqual([]);
  for (const other of [ABOVE, viewIn('web', 'main/pr-8'), viewIn('other', 'main/pr-7')])
    expect(await missing(rig, other, digests)).toEqual(digests);
  for (const bytes of blobs) expect((await readAll(rig.packs.storeOf(OWN), digestOf(bytes))).equals(bytes)).toBe(true);
  expect(rig.uploads()).toEqual([]);
});

describe('a URL', () => {
  test('puts the planned bytes only, once, and until the lease ends', async () => {
    await using rig = await openRig();
    const pack = packOfBlobs([randomBytes(3_000)]);
    const planned = await rig.writes.plan(OWN, { ...attemptOf(), ttlMs: 12_345 }, contentOf(pack), signal);
    expect(planned.urlTtlMs).toBe(12_000);
    expect(new URL(planned.url).searchParams.get('X-Amz-Expires')).toBe('12');
    const other = Buffer.from(pack);
    other[7] = (other[7] ?? 0) ^ 1;
    expect(await put(planned, other), 'other bytes').toBe(400);
    expect(await put(planned, pack.subarray(1)), 'another length').toBe(403);
    const elsewhere = planned.url.replace(planned.upload, 'f'.repeat(32));
    expect(await put({ ...planned, url: elsewhere }, pack), 'another name').toBe(403);
    expect(rig.uploads()).toEqual([]);
    expect(await put(planned, pack)).toBe(200);
    expect(await put(planned, pack), 'once more').toBe(412);
    rig.s3.traits.clockAheadMs = 13_000;
    expect(await put(planned, pack), 'after its end').toBe(403);
  });

  test('that is used again after the commit changes nothing that anybody sees', async () => {
    await using rig = await openRig();
    const attempt = attemptOf();
    const bytes = randomBytes(3_000);
    const pack = packOfBlobs([bytes]);
    const planned = await rig.writes.plan(OWN, attempt, contentOf(pack), signal);
    await put(planned, pack);
    await rig.writes.commit(OWN, attempt, planned.upload, signal);
    expect(await put(planned, pack)).toBe(200); // the place is empty again, and nobody looks there
    await expectFault('FORBIDDEN', rig.writes.commit(OWN, attempt, planned.upload, signal));
    expect((await readAll(rig.packs.storeOf(OWN), digestOf(bytes))).equals(bytes)).toBe(true);
  });

  test('is not given for a pack of no size that packs have, nor where nothing may be written, nor without end', async () => {
    await using rig = await openRig();
    const content = contentOf(packOfBlobs([randomBytes(100)]));
    for (const lengthBytes of [0, 64, 2 ** 26 + 1])
      await expectFault('BAD_REQUEST', rig.writes.plan(OWN, attemptOf(), { ...content, lengthBytes }, signal));
    await expectFault('FORBIDDEN', rig.writes.plan({ ...OWN, writes: undefined }, attemptOf(), content, signal));
    const one = attemptOf('one');
    for (let count = 0; count < 16; count += 1) await rig.writes.plan(OWN, one, content, signal);
    await expectFault('LIMIT_EXCEEDED', rig.writes.plan(OWN, one, content, signal));
    await rig.writes.plan(OWN, attemptOf('another'), content, signal);
  });

  test('is not given where the endpoint has no conditions: it could be used again after the look', async () => {
    await using rig = await openRig({ conditions: 'ignore' });
    await expectFault('UNIMPLEMENTED', rig.writes.begin(OWN, signal));
    await expectFault('UNIMPLEMENTED', rig.writes.plan(OWN, attemptOf(), contentOf(packOfBlobs([randomBytes(9)])), signal));
  });
});

describe('a commit is refused, and nothing of the pack is seen,', () => {
  const good = Buffer.from('what others have as well');
  const bad = randomBytes(2_000);

  const FORGERIES: readonly (readonly [what: string, code: string, forge: Forgery])[] = [
    [
      'where a blob is not what its digest says',
      'DIGEST_MISMATCH',
      withRow(1, (row) => ({ ...row, digest: digestOf(randomBytes(2_000)) })),
    ],
    ['where the footer names another scope', 'FORBIDDEN', (footer) => ({ ...footer, owner: { project: 'web', scope: 'main' } })],
    ['where it names another project', 'FORBIDDEN', (footer) => ({ ...footer, owner: { ...OWNER, project: 'other' } })],
    ['where it names another producer', 'FORBIDDEN', (footer) => ({ ...footer, producer: 'b-2' })],
    ['where a blob lies in another frame', 'DIGEST_MISMATCH', withRow(1, (row) => ({ ...row, frame: 0, length: 2_000 }))],
    ['where a row is a recipe', 'DIGEST_MISMATCH', withRow(1, (row) => ({ ...row, kind: 'recipe' }))],
    ['where blobs overlap', 'DIGEST_MISMATCH', (footer) => ({ ...footer, rows: [...footer.rows, ...footer.rows] })],
    ['where it has no blobs', 'DIGEST_MISMATCH', (footer) => ({ ...footer, rows: [] })],
    ['where a frame is another’s end', 'DIGEST_MISMATCH', (footer) => ({ ...footer, frames: footer.frames.toReversed() })],
    ['where a blob ends beyond its frame', 'DIGEST_MISMATCH', withRow(1, (row) => ({ ...row, offset: 1 }))],
    ['where a blob is in a frame that is not there', 'DIGEST_MISMATCH', withRow(1, (row) => ({ ...row, frame: 7 }))],
    ['where a frame goes beyond the pack', 'DIGEST_MISMATCH', withFrame(1, { storedBytes: 1_000_000, rawBytes: 1_000_000 })],
    ['where a frame begins after the one before it has ended', 'DIGEST_MISMATCH', withFrame(0, { storedBytes: 40, rawBytes: 40 })],
    ['where frames claim to decode to very much', 'DIGEST_MISMATCH', (footer) => ({ ...footer, frames: [...footer.frames, ...bombs()] })],
  ];

  test.for(FORGERIES)('%s', async ([, code, forge]) => {
    await using rig = await openRig();
    const attempt = attemptOf();
    const name = await upload(rig, attempt, packOfBlobs([good, bad], forge));
    await expectFault(code as 'FORBIDDEN', rig.writes.commit(OWN, attempt, name, signal)); // codes of the table above
    for (const view of [OWN, ABOVE]) expect(await missing(rig, view, [digestOf(good), digestOf(bad)])).toHaveLength(2);
    expect(await rig.index.packs({}, undefined, 9, signal)).toEqual([]);
    expect(rig.uploads()).toEqual([]);
  });

  test.for([
    ['more', 1_000],
    ['less', 2 ** 20 + 1],
  ] as const)('where a frame decodes to %s than its footer says', async ([, rawBytes]) => {
    await using rig = await openRig();
    const attempt = attemptOf();
    const content = Buffer.alloc(2 ** 20);
    const digest = digestOf(content.subarray(0, 1_000));
    const pack = packOfBlobs([good, zlib.zstdCompressSync(content)], (footer) =>
      withRow(1, (row) => ({ ...row, digest, length: 1_000 }))(withFrame(1, { rawBytes, encoding: 'zstd' })(footer)),
    );
    await expectFault('DIGEST_MISMATCH', rig.writes.commit(OWN, attempt, await upload(rig, attempt, pack), signal));
    expect(await missing(rig, OWN, [digestOf(good), digest])).toHaveLength(2);
    expect([...rig.s3.objects.keys()]).toEqual([]);
  });

  test('where the object is no pack, was cut off, or was never put', async () => {
    await using rig = await openRig();
    const attempt = attemptOf();
    const pack = packOfBlobs([good, bad]);
    for (const body of [randomBytes(5_000), pack.subarray(0, -1), Buffer.concat([pack, Buffer.alloc(64)])])
      await expectFault('DIGEST_MISMATCH', rig.writes.commit(OWN, attempt, await upload(rig, attempt, body), signal));
    const { upload: never } = await rig.writes.plan(OWN, attempt, contentOf(pack), signal);
    await expectFault('OBJECT_UNKNOWN', rig.writes.commit(OWN, attempt, never, signal));
    expect(await missing(rig, OWN, [digestOf(good), digestOf(bad)])).toHaveLength(2);
  });

  test('where it comes twice, or from another attempt, or for another scope', async () => {
    await using rig = await openRig();
    const [one, other] = [attemptOf('one'), attemptOf('other')];
    const name = await upload(rig, one, packOfBlobs([good]));
    await expectFault('FORBIDDEN', rig.writes.commit(OWN, other, name, signal));
    for (const made of ['f'.repeat(32), '', '../p/00', 'x'.repeat(9_999)])
      await expectFault('FORBIDDEN', rig.writes.commit(OWN, one, made, signal));
    expect(await missing(rig, OWN, [digestOf(good)])).toHaveLength(1);
    const twice = await Promise.allSettled([rig.writes.commit(OWN, one, name, signal), rig.writes.commit(OWN, one, name, signal)]);
    expect(twice.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected']);
    const next = await upload(rig, one, packOfBlobs([bad]));
    await expectFault('FORBIDDEN', rig.writes.commit(viewIn('web', 'main'), one, next, signal));
    expect(await missing(rig, OWN, [digestOf(bad)])).toHaveLength(1);
  });

  test('where the attempt ends while it is looked at', async () => {
    await using rig = await openRig();
    const attempt = attemptOf();
    const name = await upload(rig, attempt, packOfBlobs([good, bad]));
    rig.s3.decide = ({ method }) => {
      if (method === 'GET') attempt.end();
      return undefined;
    };
    await expectFault('FORBIDDEN', rig.writes.commit(OWN, attempt, name, signal));
    expect(await missing(rig, OWN, [digestOf(good), digestOf(bad)])).toHaveLength(2);
    expect([...rig.s3.objects.keys()]).toEqual([]);
  });
});

test('what was put and never committed is in no index, also not in a new one, and is collected', async () => {
  await using rig = await openRig();
  const { objects, env } = rig;
  const forged = packOfBlobs([randomBytes(500)], (footer) => ({ ...footer, owner: { project: 'web', scope: 'release' } }));
  await upload(rig, attemptOf(), forged);
  expect(rig.uploads()).toHaveLength(1);
  await using index = memoryStoreIndex({ clock: systemClock, ready: false });
  await rebuildIndex({ objects, index, env, graceMs: GC_SETTINGS.graceMs, restoreEntries: async () => {} }, signal);
  expect(await index.packs({}, undefined, 9, signal)).toEqual([]);
  const { epoch } = await index.epoch(signal);
  const collect = (orphanMs: number) =>
    scrub(new Collector({ objects, index, env, settings: { ...GC_SETTINGS, orphanMs } }), epoch, signal);
  await collect(60_000);
  expect(rig.uploads(), 'it may still be on its way').toHaveLength(1);
  await collect(-60_000);
  expect(rig.uploads()).toEqual([]);
});

function withRow(at: number, change: (row: FooterRow) => FooterRow): Forgery {
  return (footer) => ({ ...footer, rows: footer.rows.map((row, index) => (index === at ? change(row) : row)) });
}

function withFrame(at: number, change: Partial<Footer['frames'][number]>): Forgery {
  return (footer) => ({ ...footer, frames: footer.frames.map((frame, index) => (index === at ? { ...frame, ...change } : frame)) });
}

function bombs(): Footer['frames'] {
  return Array.from({ length: 40 }, () => ({ storedBytes: 0, rawBytes: 4 * 2 ** 20, encoding: 'zstd' }) as const);
}
