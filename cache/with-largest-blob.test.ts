import { expect, test } from 'vitest';
import { digestOf, type Digest } from './digest.ts';
import { memoryStore } from './memory.ts';
import { withLargestBlob } from './with-largest-blob.ts';

const never = new AbortController().signal;
const LIMIT_BYTES = 1_600;
const view = { project: 'p', reads: ['main'], writes: 'main', producer: '' };

async function* counted(bytes: Uint8Array, read: { count: number }) {
  read.count += 1;
  yield bytes;
}

test('a blob that leaves others no room is refused before a byte of it is read, with the option that gives room', async () => {
  const inner = memoryStore();
  const store = withLargestBlob(() => inner, LIMIT_BYTES)(view);
  const put = async (size: number) => {
    const bytes = new Uint8Array(size);
    const read = { count: 0 };
    const refused = await store.put(digestOf(bytes), counted(bytes, read), never).then(
      () => undefined,
      (error: unknown) => error,
    );
    return { digest: digestOf(bytes), read, refused };
  };
  const whole = await put(LIMIT_BYTES);
  const over = await put(1_501);
  for (const { refused, read } of [whole, over]) {
    expect(refused).toMatchObject({ code: 'TOO_LARGE', hint: expect.stringContaining('--max-bytes') });
    expect(read.count).toBe(0);
  }
  const most = await put(1_500);
  expect(most.refused).toBeUndefined();
  const all: readonly Digest[] = [whole.digest, over.digest, most.digest];
  expect(await store.findMissing(all, never)).toEqual([whole.digest, over.digest]);
});
