import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { isFault, type FaultCode } from '../../base/fault.ts';
import type { BlobStore, ByteRange } from '../../cache/blob-store.ts';
import { EMPTY_DIGEST, digestFrom, digestOf, type Digest } from '../../cache/digest.ts';

/** A store under test. `damage` changes a stored blob's bytes behind the store's back, where that can be done. */
export type BlobStoreSubject = {
  readonly name: string;
  /** Whether `damage` is there. */
  readonly damageable: boolean;
  /** Opens an empty store; what it holds is gone once it is disposed of. */
  readonly open: () => Promise<{ readonly store: BlobStore; readonly damage?: (digest: Digest) => Promise<void> | void } & AsyncDisposable>;
};

const signal = new AbortController().signal;

/** Sizes on both sides of every boundary at which the stores change their way of doing things. */
const SIZES = [1, 63, 4_096, 256 * 1024, 256 * 1024 + 1, 1024 * 1024, 5 * 1024 * 1024 + 3];

/** What every BlobStore does. */
export function blobStoreContract(subject: BlobStoreSubject): void {
  describe(`${subject.name} as a blob store`, () => {
    presence(subject);
    ranges(subject);
    refusals(subject);
    if (subject.damageable) damages(subject);
  });
}

function presence({ open }: BlobStoreSubject): void {
  test.for(SIZES)('gives back the %i bytes that were put, from one piece or many', async (size) => {
    await using subject = await open();
    const bytes = randomBytes(size);
    const digest = digestOf(bytes);
    await subject.store.put(digest, chunked(bytes, 70_001), signal);
    expect(Buffer.compare(await readAll(subject.store, digest), bytes)).toBe(0);
    const other = randomBytes(size);
    await subject.store.put(digestOf(other), other, signal);
    expect(Buffer.compare(await readAll(subject.store, digestOf(other)), other)).toBe(0);
  });

  test('always has the empty blob, and takes it', async () => {
    await using subject = await open();
    expect(await subject.store.findMissing([EMPTY_DIGEST], signal)).toEqual([]);
    expect((await readAll(subject.store, EMPTY_DIGEST)).byteLength).toBe(0);
    await subject.store.put(EMPTY_DIGEST, new Uint8Array(0), signal);
    await subject.store.put(EMPTY_DIGEST, chunked(new Uint8Array(0), 1), signal);
  });

  test('finds what is missing, each once', async () => {
    await using subject = await open();
    const [there, gone] = [randomBytes(10), randomBytes(300_000)];
    await subject.store.put(digestOf(there), there, signal);
    const asked = [digestOf(there), digestOf(gone), digestOf(gone), EMPTY_DIGEST];
    expect(await subject.store.findMissing(asked, signal)).toEqual([digestOf(gone)]);
    expect(await subject.store.findMissing([], signal)).toEqual([]);
  });

  test('answers for 25,000 digests at once', async () => {
    await using subject = await open();
    const absent = Array.from({ length: 25_000 }, (_, index) => digestOf(Buffer.from(`absent ${index}`)));
    const missing = await subject.store.findMissing(absent, signal);
    expect(new Set(missing)).toEqual(new Set(absent));
  });

  test('takes a blob twice, one after the other and at the same time', async () => {
    await using subject = await open();
    for (const size of [100, 700_000]) {
      const bytes = randomBytes(size);
      const put = () => subject.store.put(digestOf(bytes), chunked(bytes, 50_000), signal);
      await Promise.all([put(), put(), put()]);
      await put();
      expect(Buffer.compare(await readAll(subject.store, digestOf(bytes)), bytes)).toBe(0);
    }
  });

  test('keeps many blobs apart that come and go at the same time', async () => {
    await using subject = await open();
    const blobs = Array.from({ length: 300 }, (_, index) => Buffer.from(`${index} `.repeat(index)));
    await Promise.all(blobs.map((bytes) => subject.store.put(digestOf(bytes), bytes, signal)));
    const read = await Promise.all(blobs.map((bytes) => readAll(subject.store, digestOf(bytes))));
    expect(read.every((bytes, index) => Buffer.compare(bytes, blobs[index] ?? Buffer.alloc(0)) === 0)).toBe(true);
  });

  test('does not confuse blobs of the same hash and another size', async () => {
    await using subject = await open();
    const bytes = randomBytes(20);
    await subject.store.put(digestOf(bytes), bytes, signal);
    const other = digestFrom(digestOf(bytes).slice(0, 64), 21);
    if (other === undefined) throw new Error('not a digest');
    expect(await subject.store.findMissing([other], signal)).toEqual([other]);
    await expectFault('BLOB_UNKNOWN', readAll(subject.store, other));
  });
}

function ranges({ open }: BlobStoreSubject): void {
  test.for(SIZES)('reads parts of %i bytes', async (size) => {
    await using subject = await open();
    const bytes = randomBytes(size);
    const digest = digestOf(bytes);
    await subject.store.put(digest, bytes, signal);
    const parts: ByteRange[] = [
      { offset: 0 },
      { offset: size },
      { offset: Math.floor(size / 2) },
      { offset: Math.floor(size / 3), length: 17 },
      { offset: 0, length: size },
      { offset: size - 1, length: 1_000 },
      { offset: 0, length: 0 },
    ];
    for (const range of parts) {
      const expected = bytes.subarray(range.offset, range.length === undefined ? undefined : range.offset + range.length);
      expect(Buffer.compare(await readAll(subject.store, digest, range), expected)).toBe(0);
    }
  });

  test('refuses to read from beyond the end', async () => {
    await using subject = await open();
    for (const size of [9, 400_000]) {
      const bytes = randomBytes(size);
      await subject.store.put(digestOf(bytes), bytes, signal);
      await expectFault('OUT_OF_RANGE', readAll(subject.store, digestOf(bytes), { offset: size + 1 }));
      await expectFault('OUT_OF_RANGE', readAll(subject.store, digestOf(bytes), { offset: -1 }));
    }
  });

  test('can be left in the middle of a blob, and goes on working', async () => {
    await using subject = await open();
    const bytes = randomBytes(4 * 1024 * 1024);
    await subject.store.put(digestOf(bytes), bytes, signal);
    for await (const chunk of subject.store.get(digestOf(bytes), undefined, signal)) {
      expect(chunk.byteLength).toBeGreaterThan(0);
      break;
    }
    expect((await readAll(subject.store, digestOf(bytes))).byteLength).toBe(bytes.byteLength);
  });
}

function refusals({ open }: BlobStoreSubject): void {
  test('says of an absent blob that it is unknown', async () => {
    await using subject = await open();
    for (const size of [5, 500_000]) await expectFault('BLOB_UNKNOWN', readAll(subject.store, digestOf(randomBytes(size))));
  });

  test.for([40, 600_000])('takes no other bytes than the %i of the digest, and shows none of them', async (size) => {
    await using subject = await open();
    const bytes = randomBytes(size);
    const digest = digestOf(bytes);
    const wrong = Buffer.from(bytes);
    wrong[size - 1] = (wrong[size - 1] ?? 0) ^ 1;
    const bad = [wrong, bytes.subarray(1), Buffer.concat([bytes, Buffer.from('x')]), new Uint8Array(0)];
    for (const source of bad) {
      await expectFault('DIGEST_MISMATCH', subject.store.put(digest, source, signal));
      await expectFault('DIGEST_MISMATCH', subject.store.put(digest, chunked(source, 10_000), signal));
      expect(await subject.store.findMissing([digest], signal)).toEqual([digest]);
    }
    await subject.store.put(digest, bytes, signal);
    expect(await subject.store.findMissing([digest], signal)).toEqual([]);
  });

  test.for([40, 600_000])('hands on what the source of %i bytes throws, and shows nothing of it', async (size) => {
    await using subject = await open();
    const bytes = randomBytes(size);
    const broken = async function* () {
      yield bytes.subarray(0, size / 2);
      throw new Error('the source broke');
    };
    await expect(subject.store.put(digestOf(bytes), broken(), signal)).rejects.toThrow('the source broke');
    expect(await subject.store.findMissing([digestOf(bytes)], signal)).toEqual([digestOf(bytes)]);
  });

  test('does nothing under an aborted signal', async () => {
    await using subject = await open();
    const bytes = randomBytes(10);
    const aborted = AbortSignal.abort(new Error('given up'));
    await expect(subject.store.put(digestOf(bytes), bytes, aborted)).rejects.toThrow();
    await expect(subject.store.findMissing([digestOf(bytes)], aborted)).rejects.toThrow();
    await expect(readAll(subject.store, digestOf(bytes), undefined, aborted)).rejects.toThrow();
    expect(await subject.store.findMissing([digestOf(bytes)], signal)).toEqual([digestOf(bytes)]);
  });
}

function damages({ open }: BlobStoreSubject): void {
  test.for([100, 300_000, 3_000_000])('never gives out %i damaged bytes as whole, and forgets them', async (size) => {
    await using subject = await open();
    const bytes = randomBytes(size);
    const digest = digestOf(bytes);
    for (const range of [undefined, { offset: Math.floor(size / 2) }]) {
      await subject.store.put(digest, bytes, signal);
      await subject.damage?.(digest);
      await expectFault('BLOB_CORRUPT', readAll(subject.store, digest, range));
      expect(await subject.store.findMissing([digest], signal)).toEqual([digest]);
    }
    await subject.store.put(digest, bytes, signal);
    expect(Buffer.compare(await readAll(subject.store, digest), bytes)).toBe(0);
  });
}

/** All bytes that a store gives. */
export async function readAll(store: BlobStore, digest: Digest, range?: ByteRange, stop: AbortSignal = signal): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of store.get(digest, range, stop)) chunks.push(Uint8Array.from(chunk));
  return Buffer.concat(chunks);
}

/** `bytes` in pieces of `size`. */
export async function* chunked(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array, void, undefined> {
  for (let start = 0; start < bytes.byteLength; start += size) yield bytes.subarray(start, start + size);
}

/** Expects `work` to fail with a fault of that code. */
export async function expectFault(code: FaultCode, work: Promise<unknown>): Promise<void> {
  const error: unknown = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!isFault(error)) throw new Error(`Expected ${code}, got ${String(error)}`, { cause: error });
  expect(error.code).toBe(code);
}
