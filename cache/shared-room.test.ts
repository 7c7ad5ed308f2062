import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { systemClock } from '../base/clock.ts';
import { tempDir } from '../test/fixtures/temp-dir.ts';
import type { BlobStore } from './blob-store.ts';
import { ByteBudget } from './byte-budget.ts';
import { digestOf, sizeOf, type Digest } from './digest.ts';
import { openFileWriters } from './layer/file-writers.ts';
import { fetchFiles } from './layer/place-files.ts';
import { memoryStore } from './memory.ts';
import { roomOf, withSharedRoom } from './shared-room.ts';
import type { BlobSource } from './tree/build.ts';
import { uploadTree } from './tree/upload.ts';

const never = new AbortController().signal;
const ROOM_BYTES = 1024 * 1024;
const USERS = 24;

/** Bytes of a size between 1 and 200,000, others for each number. */
function bytesOf(number: number): Buffer {
  const size = 1 + ((number * 7_919) % 200_000);
  return Buffer.alloc(size, createHash('sha256').update(String(number)).digest());
}

/** Counts what is on its way to and from a store that takes its time, and who is served when. */
function watched(inner: BlobStore) {
  const flow = { bytes: 0, most: 0, calls: 0, callsMost: 0, order: [] as Digest[] };
  const enter = (bytes: number) => {
    flow.bytes += bytes;
    flow.calls += 1;
    flow.most = Math.max(flow.most, flow.bytes);
    flow.callsMost = Math.max(flow.callsMost, flow.calls);
  };
  const leave = (bytes: number) => {
    flow.bytes -= bytes;
    flow.calls -= 1;
  };
  const store: BlobStore = {
    ...inner,
    async put(digest, source, signal) {
      enter(sizeOf(digest));
      flow.order.push(digest);
      for (let turn = 0; turn < 3; turn += 1) await nextTurn();
      await inner.put(digest, source, signal);
      leave(sizeOf(digest));
    },
    async *get(digest, range, signal) {
      enter(sizeOf(digest));
      flow.order.push(digest);
      for (let turn = 0; turn < 3; turn += 1) await nextTurn();
      try {
        yield* inner.get(digest, range, signal);
      } finally {
        leave(sizeOf(digest));
      }
    },
  };
  return { flow, store };
}

function blobsOf(user: number, count: number): Map<Digest, BlobSource> {
  const all = Array.from({ length: count }, (_, at) => bytesOf(user * 1_000 + at));
  return new Map(all.map((bytes) => [digestOf(bytes), { kind: 'bytes', bytes }]));
}

describe('what many hold in memory at once', () => {
  test('of uploads is never more than the room that they share, and each gets on', async () => {
    const { flow, store } = watched(memoryStore());
    const roomed = withSharedRoom(store, new ByteBudget(ROOM_BYTES));
    const users = Array.from({ length: USERS }, (_, user) => blobsOf(user, 40));
    const sent = await Promise.all(users.map((blobs) => uploadTree({ blobs }, roomed, never)));
    expect(sent.map(({ sentCount }) => sentCount)).toEqual(users.map((blobs) => blobs.size));
    expect(flow.most).toBeLessThanOrEqual(ROOM_BYTES);
    expect(flow.callsMost).toBeLessThanOrEqual(ROOM_BYTES / (16 * 1024));
    // First come, first served: nobody is served for the tenth time before everybody was once.
    const firsts = users.map((blobs) => flow.order.findIndex((digest) => blobs.has(digest)));
    const tenths = users.map((blobs) => flow.order.flatMap((digest, at) => (blobs.has(digest) ? [at] : []))[9] ?? 0);
    expect(Math.max(...firsts)).toBeLessThan(Math.min(...tenths));
  });

  test('of uploads is more without one, so that the others show something', async () => {
    const { flow, store } = watched(memoryStore());
    await Promise.all(Array.from({ length: USERS }, (_, user) => uploadTree({ blobs: blobsOf(user, 40) }, store, never)));
    expect(flow.most).toBeGreaterThan(ROOM_BYTES);
  });

  test('of downloads and uploads together is never more either, also where some are given up', async () => {
    await using dir = await tempDir();
    await using writers = openFileWriters(systemClock);
    const inner = memoryStore();
    const { flow, store } = watched(inner);
    const roomed = withSharedRoom(store, new ByteBudget(ROOM_BYTES));
    const stop = new AbortController();
    const work: Promise<unknown>[] = [];
    for (let user = 0; user < USERS; user += 1) {
      const blobs = blobsOf(user, 40);
      if (user % 2 === 0) work.push(uploadTree({ blobs }, roomed, user % 6 === 0 ? stop.signal : never));
      else {
        for (const [digest, source] of blobs) if (source.kind === 'bytes') await inner.put(digest, source.bytes, never);
        const files = [...blobs.keys()].map((digest, at) => {
          return { path: path.join(dir.path, `${user}-${at}`), digest, executable: false, mode: 0o644 };
        });
        work.push(fetchFiles(files, roomed, writers, user % 6 === 1 ? stop.signal : never));
      }
    }
    while (flow.order.length < USERS * 2) await nextTurn();
    stop.abort(new Error('given up'));
    const ends = await Promise.allSettled(work);
    expect(ends.map(({ status }) => status)).toEqual(Array.from({ length: USERS }, (_, user) => (user % 6 < 2 ? 'rejected' : 'fulfilled')));
    expect(flow.most).toBeLessThanOrEqual(ROOM_BYTES);
    for (let user = 3; user < USERS; user += 6) expect(fs.existsSync(path.join(dir.path, `${user}-39`))).toBe(true);
    // All of it came free again.
    using _ = await (roomOf(roomed) ?? new ByteBudget(0)).take(ROOM_BYTES, AbortSignal.timeout(10_000));
  });
});
