import { createHash, hash, randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import type { ObjectInfo, ObjectStore } from '../../cache/objects/object-store.ts';
import { expectFault } from './blob-store.ts';

/** A store under test. Opening twice gives stores on the same, at first empty, place. */
export type ObjectStoreSubject = {
  readonly name: string;
  readonly open: () => Promise<ObjectStore>;
  /** What the place can do; `traits` must say the same. */
  readonly traits: ObjectStore['traits'];
  /** A size that is stored in several parts, where that is so. */
  readonly manyPartsBytes?: number;
  /** How far off the place's clock may be from ours. @default 60,000 */
  readonly skewMs?: number;
};

const signal = new AbortController().signal;
const MIB = 1024 * 1024;
const SIZES = [0, 1, 4_096, 65_537, MIB, 5 * MIB + 3];
const OVERWRITE = { ifAbsent: false };

/** What every ObjectStore does. */
export function objectStoreContract(subject: ObjectStoreSubject): void {
  describe(`${subject.name} as an object store`, () => {
    test('says what it can do', async () => {
      await using store = await subject.open();
      expect(store.traits).toEqual(subject.traits);
    });
    bytes(subject);
    ranges(subject);
    conditions(subject);
    lists(subject);
    refusals(subject);
    if (subject.traits.presigned) urls(subject);
  });
}

function bytes({ open, manyPartsBytes, skewMs = 60_000 }: ObjectStoreSubject): void {
  const sizes = manyPartsBytes === undefined ? SIZES : [...SIZES, manyPartsBytes];

  test.for(sizes)('gives back the %i bytes that were put, from one piece or many', async (size) => {
    await using store = await open();
    const content = randomBytes(size);
    const [whole, pieces] = [newKey(), newKey()];
    await store.put(whole, content, OVERWRITE, signal);
    await store.put(pieces, bodyOf(content, 70_001), OVERWRITE, signal);
    expect(Buffer.compare(await readObject(store, whole), content)).toBe(0);
    expect(Buffer.compare(await readObject(store, pieces), content)).toBe(0);
    expect(await store.head(pieces, signal)).toMatchObject({ key: pieces, sizeBytes: size });
  });

  test('copies an object without changing it, over what was there, and says where there is none', async () => {
    await using store = await open();
    const content = randomBytes(70_000);
    const [from, to] = [newKey(), newKey()];
    await store.put(from, content, OVERWRITE, signal);
    await store.put(to, Buffer.from('before'), OVERWRITE, signal);
    await store.copy(from, to, signal);
    await store.delete(from, signal);
    expect(Buffer.compare(await readObject(store, to), content)).toBe(0);
    await expectFault('OBJECT_UNKNOWN', store.copy(from, to, signal));
    expect(Buffer.compare(await readObject(store, to), content)).toBe(0);
  });

  test('throws away no upload that has ended', async () => {
    await using store = await open();
    const key = newKey();
    await store.put(key, bodyOf(randomBytes(manyPartsBytes ?? 10), 70_001), OVERWRITE, signal);
    expect(await store.abortUploads(key, systemClock.now() + 2 * skewMs, signal)).toBe(0);
    expect(await store.head(key, signal)).toBeDefined();
  });

  test('replaces an object, and knows when it was made', async () => {
    await using store = await open();
    const key = newKey();
    const begun = systemClock.now();
    await store.put(key, Buffer.from('first'), OVERWRITE, signal);
    await store.put(key, Buffer.from('the second'), OVERWRITE, signal);
    expect((await readObject(store, key)).toString()).toBe('the second');
    const info = await store.head(key, signal);
    expect(info?.sizeBytes).toBe(10);
    expect(Math.abs((info?.modifiedAt ?? 0) - begun)).toBeLessThan(skewMs + 60_000);
  });

  test('is seen by another store on the same place', async () => {
    await using store = await open();
    await using other = await open();
    const key = newKey();
    await store.put(key, Buffer.from('shared'), OVERWRITE, signal);
    const there = await other.head(key, signal);
    expect(there !== undefined).toBe(store.traits.shared);
  });

  test('removes an object, and minds none that is not there', async () => {
    await using store = await open();
    const key = newKey();
    await store.put(key, Buffer.from('x'), OVERWRITE, signal);
    await store.delete(key, signal);
    expect(await store.head(key, signal)).toBeUndefined();
    await expectFault('OBJECT_UNKNOWN', readObject(store, key));
    await store.delete(key, signal);
  });

  test('keeps many objects apart that come and go at the same time', async () => {
    await using store = await open();
    const objects = Array.from({ length: 60 }, (_, index) => ({ key: newKey(), content: Buffer.from(`${index} `.repeat(index)) }));
    await Promise.all(objects.map(({ key, content }) => store.put(key, content, OVERWRITE, signal)));
    const read = await Promise.all(objects.map(({ key }) => readObject(store, key)));
    expect(read.every((content, index) => objects[index]?.content.equals(content))).toBe(true);
    await Promise.all(objects.map(({ key }) => store.delete(key, signal)));
  });

  test('takes keys of every character and length that keys may have', async () => {
    await using store = await open();
    const base = newKey();
    const long = `${base}/${'k'.repeat(512 - base.length - 1)}`;
    for (const key of [`${base}/A-Z_a.z`, `${base}/...`, `${base}/-/_/.x`, long]) {
      await store.put(key, Buffer.from(key), OVERWRITE, signal);
      expect((await readObject(store, key)).toString()).toBe(key);
    }
  });
}

function ranges({ open, manyPartsBytes }: ObjectStoreSubject): void {
  test.for([1, 4_096, manyPartsBytes ?? 2 * MIB])('reads parts of %i bytes', async (size) => {
    await using store = await open();
    const content = randomBytes(size);
    const key = newKey();
    await store.put(key, content, OVERWRITE, signal);
    const parts = [
      { offset: 0 },
      { offset: size },
      { offset: size, length: 5 },
      { offset: Math.floor(size / 2) },
      { offset: Math.floor(size / 3), length: 17 },
      { offset: 0, length: size },
      { offset: size - 1, length: 1_000 },
      { offset: 0, length: 0 },
    ];
    for (const range of parts) {
      const expected = content.subarray(range.offset, range.length === undefined ? undefined : range.offset + range.length);
      expect(Buffer.compare(await readObject(store, key, range), expected)).toBe(0);
    }
  });

  test('refuses to read from beyond the end, and of an object of no bytes reads none', async () => {
    await using store = await open();
    const [key, empty] = [newKey(), newKey()];
    await store.put(key, Buffer.from('nine byte'), OVERWRITE, signal);
    await store.put(empty, new Uint8Array(0), OVERWRITE, signal);
    await expectFault('OUT_OF_RANGE', readObject(store, key, { offset: 10 }));
    await expectFault('OUT_OF_RANGE', readObject(store, key, { offset: 10, length: 0 }));
    await expectFault('OUT_OF_RANGE', readObject(store, key, { offset: -1 }));
    await expectFault('OUT_OF_RANGE', readObject(store, empty, { offset: 1 }));
    expect((await readObject(store, empty, { offset: 0, length: 9 })).byteLength).toBe(0);
  });

  test('can be left in the middle of an object, and goes on working', async () => {
    await using store = await open();
    const content = randomBytes(4 * MIB);
    const key = newKey();
    await store.put(key, content, OVERWRITE, signal);
    for await (const chunk of store.get(key, undefined, signal)) {
      expect(chunk.byteLength).toBeGreaterThan(0);
      break;
    }
    expect((await readObject(store, key)).byteLength).toBe(content.byteLength);
  });
}

function conditions({ open, traits, manyPartsBytes }: ObjectStoreSubject): void {
  test('makes an object only where none is, if asked to', async () => {
    await using store = await open();
    const key = newKey();
    await store.put(key, Buffer.from('first'), { ifAbsent: true }, signal);
    await expectFault('OBJECT_EXISTS', store.put(key, Buffer.from('second'), { ifAbsent: true }, signal));
    expect((await readObject(store, key)).toString()).toBe('first');
    await store.delete(key, signal);
    await store.put(key, Buffer.from('third'), { ifAbsent: true }, signal);
    expect((await readObject(store, key)).toString()).toBe('third');
  });

  test.runIf(manyPartsBytes !== undefined)('makes an object of many parts only where none is, if asked to', async () => {
    await using store = await open();
    const key = newKey();
    const content = randomBytes(manyPartsBytes ?? 0);
    await store.put(key, content, { ifAbsent: true }, signal);
    await expectFault('OBJECT_EXISTS', store.put(key, randomBytes(manyPartsBytes ?? 0), { ifAbsent: true }, signal));
    expect(Buffer.compare(await readObject(store, key), content)).toBe(0);
  });

  test.runIf(traits.conditionalPut)('lets one of twenty writers win', async () => {
    await using store = await open();
    const key = newKey();
    const writers = Array.from({ length: 20 }, (_, index) => `writer ${index}`);
    const ends = await Promise.allSettled(writers.map((name) => store.put(key, Buffer.from(name), { ifAbsent: true }, signal)));
    const winners = writers.filter((_, index) => ends[index]?.status === 'fulfilled');
    expect(winners).toHaveLength(1);
    expect((await readObject(store, key)).toString()).toBe(winners[0]);
    for (const end of ends) if (end.status === 'rejected') expect(end.reason).toMatchObject({ code: 'OBJECT_EXISTS' });
  });
}

function lists({ open }: ObjectStoreSubject): void {
  test('lists what is below a prefix in the order of keys, from where it is told to', async () => {
    await using store = await open();
    const base = newKey();
    const names = ['a', 'a-b', 'a.b', 'a/b', 'a/c', 'aa', 'b', 'B', '0', '_'];
    await Promise.all(names.map((name) => store.put(`${base}/${name}`, Buffer.from(name), OVERWRITE, signal)));
    await store.put(`${base}x`, Buffer.from('beside'), OVERWRITE, signal);
    const all = names.map((name) => `${base}/${name}`).toSorted((a, b) => (a < b ? -1 : 1));
    const listed = await listAll(store, `${base}/`);
    expect(listed.map(({ key }) => key)).toEqual(all);
    expect(listed.map(({ sizeBytes }) => sizeBytes)).toEqual(all.map((key) => key.length - base.length - 1));
    expect((await listAll(store, `${base}/`, `${base}/a.b`)).map(({ key }) => key)).toEqual(all.filter((key) => key > `${base}/a.b`));
    expect((await listAll(store, `${base}/`, `${base}/a0`)).map(({ key }) => key)).toEqual(all.filter((key) => key > `${base}/a0`));
    expect((await listAll(store, `${base}/a`)).map(({ key }) => key)).toEqual(all.filter((key) => key.startsWith(`${base}/a`)));
    expect(await listAll(store, `${base}/nothing`)).toEqual([]);
    expect(await listAll(store, `${base}/`, `${base}/zzz`)).toEqual([]);
  });

  test('lists more than a page holds, and can be left on the way', async () => {
    await using store = await open();
    const base = newKey();
    const keys = Array.from({ length: 25 }, (_, index) => `${base}/${String(index).padStart(3, '0')}`);
    await Promise.all(keys.map((key) => store.put(key, Buffer.from('x'), OVERWRITE, signal)));
    expect((await listAll(store, `${base}/`)).map(({ key }) => key)).toEqual(keys);
    for await (const { key } of store.list(`${base}/`, {}, signal)) {
      expect(key).toBe(keys[0]);
      break;
    }
  });
}

function refusals({ open, manyPartsBytes }: ObjectStoreSubject): void {
  test('says of an absent object that it is unknown', async () => {
    await using store = await open();
    const key = newKey();
    await expectFault('OBJECT_UNKNOWN', readObject(store, key));
    await expectFault('OBJECT_UNKNOWN', readObject(store, key, { offset: 3, length: 4 }));
    await expectFault('OBJECT_UNKNOWN', readObject(store, key, { offset: 0, length: 0 }));
    expect(await store.head(key, signal)).toBeUndefined();
  });

  const bodies = [10, manyPartsBytes ?? 200_000];
  test.for(bodies)('shows nothing of an object of %i bytes whose body breaks, and hands on why', async (size) => {
    await using store = await open();
    const key = newKey();
    const broken = {
      lengthBytes: size,
      async *open() {
        yield new Uint8Array(Math.floor(size / 2));
        throw new Error('the source broke');
      },
    };
    await expect(store.put(key, broken, OVERWRITE, signal)).rejects.toThrow('the source broke');
    expect(await store.head(key, signal)).toBeUndefined();
  });

  test.for(bodies)('takes neither more nor fewer than the %i bytes that were announced', async (size) => {
    await using store = await open();
    for (const given of [size - 1, size + 1]) {
      const key = newKey();
      const body = { ...bodyOf(new Uint8Array(given), 7_000), lengthBytes: size };
      await expectFault('BAD_REQUEST', store.put(key, body, OVERWRITE, signal));
      expect(await store.head(key, signal)).toBeUndefined();
    }
  });

  test.for(['', '/a', 'a/', 'a//b', 'a/../b', '.', 'a b', 'ä', 'a?b', 'x'.repeat(513)])('takes %j for no key', async (key) => {
    await using store = await open();
    await expectFault('BAD_REQUEST', store.put(key, Buffer.from('x'), OVERWRITE, signal));
    await expectFault('BAD_REQUEST', readObject(store, key));
    await expectFault('BAD_REQUEST', store.head(key, signal));
    await expectFault('BAD_REQUEST', store.delete(key, signal));
  });

  test('does nothing under an aborted signal', async () => {
    await using store = await open();
    const key = newKey();
    const aborted = AbortSignal.abort(new Error('given up'));
    await expectFault('CANCELLED', store.put(key, Buffer.from('x'), OVERWRITE, aborted));
    await expectFault('CANCELLED', readObject(store, key, undefined, aborted));
    await expectFault('CANCELLED', store.head(key, aborted));
    await expectFault('CANCELLED', store.delete(key, aborted));
    expect(await store.head(key, signal)).toBeUndefined();
  });
}

function urls({ open }: ObjectStoreSubject): void {
  test('gives a URL that reads one object and does nothing else', async () => {
    await using store = await open();
    const [key, other] = [newKey(), newKey()];
    await store.put(key, Buffer.from('behind the URL'), OVERWRITE, signal);
    await store.put(other, Buffer.from('another'), OVERWRITE, signal);
    const url = store.presignGet(key, 60_000);
    const answer = await fetch(url);
    expect([answer.status, await answer.text()]).toEqual([200, 'behind the URL']);
    const part = await fetch(url, { headers: { range: 'bytes=7-9' } });
    expect([part.status, await part.text()]).toEqual([206, 'the']);
    expect((await fetch(url.replace(key, other))).status).toBe(403);
    expect((await fetch(url, { method: 'PUT', body: 'changed' })).status).toBe(403);
    expect((await fetch(url, { method: 'DELETE' })).status).toBe(403);
    expect((await fetch(tampered(url))).status).toBe(403);
    expect((await readObject(store, key)).toString()).toBe('behind the URL');
  });

  test('gives a URL that puts one object of one length and checksum', async () => {
    await using store = await open();
    const [key, other] = [newKey(), newKey()];
    const content = Buffer.from('put by URL');
    const { url, headers } = store.presignPut(key, { lengthBytes: content.byteLength, sha256Hex: hash('sha256', content) }, 60_000);
    const put = (at: string, body: Buffer, more: Readonly<Record<string, string>> = {}) =>
      fetch(at, {
        method: 'PUT',
        headers: { ...headers, 'content-length': String(body.byteLength), ...more },
        body: Uint8Array.from(body),
      });
    const checksum = createHash('sha256').update('something else').digest('base64');
    expect((await put(url, Buffer.from('longer than it says'))).status).toBe(403);
    expect((await put(url, content, { 'x-amz-checksum-sha256': checksum })).status).toBe(403);
    expect((await put(url.replace(key, other), content)).status).toBe(403);
    expect((await put(tampered(url), content)).status).toBe(403);
    expect((await fetch(url, { headers })).status).toBe(403);
    expect(await store.head(key, signal)).toBeUndefined();
    expect(await store.head(other, signal)).toBeUndefined();
    expect((await put(url, content)).status).toBe(200);
    expect((await readObject(store, key)).toString()).toBe('put by URL');
    // Once more it would change what was looked at meanwhile.
    if (store.traits.conditionalPut) expect((await put(url, content)).status).toBe(412);
  });

  test('refuses URLs that live longer than a week or shorter than a second', async () => {
    await using store = await open();
    for (const ttlMs of [999, 7 * 86_400_000 + 1]) expect(() => store.presignGet(newKey(), ttlMs)).toThrow(/1 s to 7 days/);
  });
}

/** The URL with one digit of its signature changed. */
function tampered(url: string): string {
  return url.replace(/(X-Amz-Signature=)(.)/, (_, name: string, digit: string) => `${name}${digit === '0' ? '1' : '0'}`);
}

/** A key that no other test uses. */
export function newKey(): string {
  return `t/${randomBytes(8).toString('hex')}`;
}

/** A body that gives `content` in pieces of `size`, as often as it is asked to. */
export function bodyOf(
  content: Uint8Array,
  size: number,
): { readonly lengthBytes: number; readonly open: () => AsyncIterable<Uint8Array> } {
  return {
    lengthBytes: content.byteLength,
    async *open() {
      for (let start = 0; start < content.byteLength; start += size) yield content.subarray(start, start + size);
    },
  };
}

/** All bytes that a store gives. */
export async function readObject(
  store: ObjectStore,
  key: string,
  range?: { readonly offset: number; readonly length?: number },
  stop: AbortSignal = signal,
): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of store.get(key, range, stop)) chunks.push(Uint8Array.from(chunk));
  return Buffer.concat(chunks);
}

async function listAll(store: ObjectStore, prefix: string, after?: string): Promise<readonly ObjectInfo[]> {
  const infos: ObjectInfo[] = [];
  for await (const info of store.list(prefix, after === undefined ? {} : { after }, signal)) infos.push(info);
  return infos;
}
