import path from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { silentLogger } from '../../base/log.ts';
import type { BlobStore } from '../../cache/blob-store.ts';
import { ByteBudget } from '../../cache/byte-budget.ts';
import { sizeOf } from '../../cache/digest.ts';
import { memoryStore } from '../../cache/memory.ts';
import { withSharedRoom } from '../../cache/shared-room.ts';
import { tempDir } from '../../test/fixtures/temp-dir.ts';
import { createAttemptLog, type AttemptLog } from '../spool/attempt-log.ts';
import { LogParts } from './log-parts.ts';
import { storeLog } from './store-log.ts';

const never = new AbortController().signal;
const ROOM_BYTES = 512 * 1024;
const ATTEMPTS = 32;

/** What is on its way to a store that takes its time. */
function watched(inner: BlobStore) {
  const flow = { bytes: 0, most: 0 };
  const store: BlobStore = {
    ...inner,
    async put(digest, source, signal) {
      flow.bytes += sizeOf(digest);
      flow.most = Math.max(flow.most, flow.bytes);
      for (let turn = 0; turn < 3; turn += 1) await nextTurn();
      await inner.put(digest, source, signal);
      flow.bytes -= sizeOf(digest);
    },
  };
  return { flow, store };
}

/** The log of one of many attempts, of some 100 KiB, with its streams told apart. */
function logOf(dir: string, attempt: number): { readonly log: AttemptLog; readonly parts: LogParts } {
  const log = createAttemptLog({
    path: path.join(dir, String(attempt)),
    bytesMax: 2 ** 30,
    reserve: (bytes) => bytes,
    onError: (error) => expect.unreachable(String(error)),
  });
  const parts = new LogParts();
  for (const stream of ['stdout', 'stderr'] as const) {
    const bytes = Buffer.alloc(50 * 1024 + attempt, `${stream} of ${attempt}\n`);
    log.append(bytes);
    parts.took(stream, bytes);
  }
  return { log, parts };
}

async function storeAll(store: BlobStore) {
  await using dir = await tempDir();
  const logs = Array.from({ length: ATTEMPTS }, (_, attempt) => logOf(dir.path, attempt));
  const stored = await Promise.all(logs.map((each) => storeLog({ ...each, store, problems: silentLogger, token: 't.1' }, never)));
  for (const { log } of logs) log.close();
  return stored;
}

test('logs and their streams that many attempts store at once hold no more than the room that all share, and all are stored', async () => {
  const inner = memoryStore();
  const { flow, store } = watched(inner);
  const room = new ByteBudget(ROOM_BYTES);
  const stored = await storeAll(withSharedRoom(store, room));
  expect(flow.most).toBeLessThanOrEqual(ROOM_BYTES);
  const digests = stored.flatMap(({ log, streams }) => [log?.digest, streams?.stdout, streams?.stderr]).filter((one) => one !== undefined);
  expect(digests).toHaveLength(3 * ATTEMPTS);
  expect(await inner.findMissing(digests, never)).toEqual([]);
  using all = room.tryTake(ROOM_BYTES);
  expect(all, 'all of the room came free again').toBeDefined();
});

test('without room in common they hold more, so that the other test shows something', async () => {
  const { flow, store } = watched(memoryStore());
  await storeAll(store);
  expect(flow.most).toBeGreaterThan(ROOM_BYTES);
});

test('a log that waits for room is given up with its attempt', async () => {
  await using dir = await tempDir();
  const room = new ByteBudget(ROOM_BYTES);
  using _ = await room.take(ROOM_BYTES, never);
  const { log, parts } = logOf(dir.path, 1);
  const stop = new AbortController();
  const storing = storeLog({ log, parts, store: withSharedRoom(memoryStore(), room), problems: silentLogger, token: 't.1' }, stop.signal);
  stop.abort(new Error('stopped'));
  expect(await storing).toEqual({ log: undefined });
  log.close();
});
