import { randomBytes } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { BlobStore } from '../blob-store.ts';
import { digestOf } from '../digest.ts';
import { memoryStore } from '../memory.ts';
import { bulkSourceOf } from './bulk-source.ts';

const { signal } = new AbortController();

test('blobs that come one after the other, while others are taken, all arrive', async () => {
  const memory = memoryStore();
  const digests = await Promise.all(
    Array.from({ length: 50 }, async () => {
      const bytes = randomBytes(100);
      await memory.put(digestOf(bytes), bytes, signal);
      return digestOf(bytes);
    }),
  );
  const slow: BlobStore = {
    traits: memory.traits,
    async *get(digest, range, stop) {
      for (let turn = 0; turn <= digests.indexOf(digest); turn += 1) await nextTurn();
      yield* memory.get(digest, range, stop);
    },
    put: (digest, source, stop) => memory.put(digest, source, stop),
    findMissing: (asked, stop) => memory.findMissing(asked, stop),
  };
  const came: string[] = [];
  for await (const { digest } of bulkSourceOf(slow).getMany(digests, signal)) came.push(digest);
  expect(came.toSorted()).toEqual(digests.toSorted());
});
