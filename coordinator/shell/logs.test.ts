import fc from 'fast-check';
import { afterEach, expect, test } from 'vitest';
import { present } from '../../base/assert.ts';
import { Fault } from '../../base/fault.ts';
import { memoryLogger } from '../../base/log.ts';
import type { BlobStore } from '../../cache/blob-store.ts';
import { digestOf } from '../../cache/digest.ts';
import { memoryStore } from '../../cache/memory.ts';
import { until } from '../../test/fixtures/until.ts';
import { leaseTokenOf, parseBuildId } from '../core/ids.ts';
import { openMemoryLedger } from '../ledger/memory.ts';
import { DEFAULT_LOG_LIMITS, openLogStore, type LogLimits, type LogStore } from './logs.ts';

const BUILD = present(parseBuildId(`b-${'2'.repeat(26)}`), 'a valid id');
const never = new AbortController().signal;
const opened: LogStore[] = [];
const DOWN: BlobStore = { ...memoryStore(), put: () => Promise.reject(new Fault('STORE_UNAVAILABLE', 'down')) };

afterEach(async () => {
  for (const logs of opened.splice(0)) await logs[Symbol.asyncDispose]();
});

async function world(limits: Partial<LogLimits> = {}, store: BlobStore = memoryStore()) {
  const ledger = openMemoryLedger();
  const term = present(await ledger.lead({ id: 'test', address: '' }, 60_000, never), 'nobody else leads');
  const open = (nonce = term.nonce) => {
    const logs = openLogStore({
      commit: (records) => ledger.commit(term, records, never),
      stored: (token, signal) => ledger.log(token, signal),
      storeOf: () => store,
      isOwn: (token) => token.startsWith(`${nonce}.`),
      limits: { ...DEFAULT_LOG_LIMITS, ...limits },
      log: memoryLogger(),
    });
    opened.push(logs);
    return logs;
  };
  return { ledger, store, open, token: leaseTokenOf(term.nonce, 1) };
}

type Read = { readonly bytes: Buffer; readonly complete: boolean };

async function readAll(
  logs: LogStore,
  request: Partial<Parameters<LogStore['read']>[0]> & { token: Parameters<LogStore['read']>[0]['token'] },
): Promise<Read> {
  const pieces: Uint8Array[] = [];
  let complete = false;
  for await (const piece of logs.read({ build: BUILD, sealed: undefined, running: false, offset: 0, follow: false, ...request }, never)) {
    pieces.push(Uint8Array.from(piece.bytes));
    complete = piece.complete;
  }
  return { bytes: Buffer.concat(pieces), complete };
}

test('duplicates are trimmed, gaps are answered with what is there', async () => {
  const { open, token } = await world();
  const logs = open();
  expect(await logs.append(BUILD, token, 0, Buffer.from('hello '))).toBe(6);
  expect(await logs.append(BUILD, token, 0, Buffer.from('hello '))).toBe(6);
  expect(await logs.append(BUILD, token, 3, Buffer.from('lo world'))).toBe(11);
  expect(await logs.append(BUILD, token, 20, Buffer.from('far'))).toBe(11);
  expect((await readAll(logs, { token })).bytes.toString()).toBe('hello world');
});

test('a log that is forgotten while it cannot be read harms nobody', async () => {
  const { token } = await world();
  const { promise, reject } = Promise.withResolvers<undefined>();
  const logs = openLogStore({
    commit: async () => {},
    stored: () => promise,
    storeOf: () => memoryStore(),
    isOwn: () => false,
    limits: DEFAULT_LOG_LIMITS,
    log: memoryLogger(),
  });
  opened.push(logs);
  const offset = logs.offsetOf(BUILD, token);
  logs.forget([token]);
  reject(new Fault('LEDGER_UNAVAILABLE', 'away'));
  await expect(offset).rejects.toMatchObject({ code: 'LEDGER_UNAVAILABLE' }); // and nothing is rejected that nobody hears
});

test('a log that comes a byte at a time moves to the store long before it is as large as a segment', async () => {
  const { open, token, ledger } = await world();
  const logs = open();
  for (let offset = 0; offset < 2_048; offset += 1) await logs.append(BUILD, token, offset, Buffer.from('x'));
  await until('a segment is stored', async () => ((await ledger.log(token, never))?.segments.length ?? 0) > 0);
  expect((await ledger.log(token, never))?.chunks).toEqual([]);
  expect((await readAll(logs, { token })).bytes.toString()).toBe('x'.repeat(2_048));
});

test('whatever the order, overlap and repetition of chunks, the log is the sequence of its bytes', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uint8Array({ minLength: 1, maxLength: 300 }),
      fc.array(fc.tuple(fc.nat(300), fc.nat(80)), { maxLength: 40 }),
      async (whole, cuts) => {
        const { open, token } = await world({ segmentBytes: 64 });
        const logs = open();
        const appends = cuts.map(([start, length]) => logs.append(BUILD, token, start, whole.subarray(start, start + length)));
        await Promise.all(appends);
        const end = await logs.append(BUILD, token, 0, whole);
        expect(end).toBe(whole.byteLength);
        expect((await readAll(logs, { token })).bytes).toEqual(Buffer.from(whole));
      },
    ),
    { numRuns: 30 },
  );
});

test('binary bytes and invalid UTF-8 come back as they were', async () => {
  const { open, token } = await world();
  const logs = open();
  const bytes = Buffer.from([0, 255, 254, 0x80, 10, 0xc3, 0x28, 13, 27, 91]);
  await logs.append(BUILD, token, 0, bytes);
  expect((await readAll(logs, { token })).bytes).toEqual(bytes);
});

test('a long tail moves into the blob store, and readers do not notice', async () => {
  const { open, token, ledger } = await world({ segmentBytes: 1_000 });
  const logs = open();
  const whole = Buffer.alloc(5_500, 'abcdefghij');
  for (let offset = 0; offset < whole.byteLength; offset += 500)
    await logs.append(BUILD, token, offset, whole.subarray(offset, offset + 500));
  await until('a segment is stored', async () => ((await ledger.log(token, never))?.segments.length ?? 0) > 0);
  expect((await readAll(logs, { token, offset: 1_234 })).bytes).toEqual(whole.subarray(1_234));
});

test('a follower gets bytes as they come, and the end when the log is sealed', async () => {
  const { open, token, store } = await world();
  const logs = open();
  const whole = Buffer.from('first second third');
  await logs.append(BUILD, token, 0, Buffer.from('first '));
  const following = readAll(logs, { token, running: true, follow: true });
  await logs.append(BUILD, token, 6, Buffer.from('second '));
  // The last bytes never came over the stream; the agent stored the whole log as a blob.
  const digest = digestOf(whole);
  await store.put(digest, whole, never);
  expect(await logs.close(BUILD, token, { digest, truncated: false })).toEqual({ digest, truncated: false });
  expect(await following).toEqual({ bytes: whole, complete: true });
});

test('the log of a lost attempt is sealed from what had arrived', async () => {
  const { open, token, ledger, store } = await world({ segmentBytes: 8 });
  const logs = open();
  await logs.append(BUILD, token, 0, Buffer.from('what came '));
  await logs.append(BUILD, token, 10, Buffer.from('before'));
  const sealed = digestOf(Buffer.from('what came before'));
  expect(await logs.close(BUILD, token, undefined)).toEqual({ digest: sealed, truncated: false });
  expect((await ledger.log(token, never))?.sealed).toEqual({ digest: sealed, truncated: false });
  expect(await store.findMissing([sealed], never)).toEqual([]);
  expect(await readAll(logs, { token })).toEqual({ bytes: Buffer.from('what came before'), complete: true });
  expect(await logs.append(BUILD, token, 16, Buffer.from('late'))).not.toBe(20);
});

test('a log that the blob store does not take is read to its end from the ledger, before and after a takeover', async () => {
  const { open, token, ledger } = await world({ segmentBytes: 8 }, DOWN);
  const logs = open();
  await logs.append(BUILD, token, 0, Buffer.from('all that came'));
  const following = readAll(logs, { token, running: true, follow: true });
  const closed = logs.close(BUILD, token, undefined);
  const whole = { bytes: Buffer.from('all that came'), complete: true };
  expect(await following).toEqual(whole);
  expect(await readAll(logs, { token, follow: true })).toEqual(whole);
  await logs[Symbol.asyncDispose]();
  expect(await closed).toBe('unknown');
  expect((await ledger.log(token, never))?.sealed).toBeUndefined();
  expect(await readAll(open('another term'), { token, follow: true })).toEqual(whole);
});

test('a reported log blob that is not in the store does not replace what had arrived', async () => {
  const { open, token, ledger } = await world();
  const logs = open();
  await logs.append(BUILD, token, 0, Buffer.from('kept'));
  await logs.close(BUILD, token, { digest: digestOf(Buffer.from('never stored')), truncated: false });
  expect((await ledger.log(token, never))?.sealed?.digest).toBe(digestOf(Buffer.from('kept')));
  expect((await readAll(logs, { token })).bytes.toString()).toBe('kept');
});

test('after a restart the log goes on at its durable offset', async () => {
  const { open, token } = await world();
  await open().append(BUILD, token, 0, Buffer.from('before '));
  const later = open('another term');
  expect(await later.offsetOf(BUILD, token)).toBe(7);
  expect(await later.append(BUILD, token, 4, Buffer.from('re after'))).toBe(12);
  expect((await readAll(later, { token })).bytes.toString()).toBe('before after');
});

test('while the blob store is down the tail stays bounded, and the log goes on when it is back', async () => {
  const store = memoryStore();
  let down = true;
  const flaky: BlobStore = {
    traits: store.traits,
    get: (digest, range, signal) => store.get(digest, range, signal),
    put: async (digest, source, signal) => {
      if (down) throw new Fault('STORE_UNAVAILABLE', 'down');
      await store.put(digest, source, signal);
    },
    findMissing: (digests, signal) => store.findMissing(digests, signal),
  };
  const { open, token } = await world({ segmentBytes: 100, tailBytesMax: 300 }, flaky);
  const logs = open();
  const whole = Buffer.alloc(900, 'x');
  const appends: Promise<number | undefined>[] = [];
  for (let offset = 0; offset < 900; offset += 100) appends.push(logs.append(BUILD, token, offset, whole.subarray(offset, offset + 100)));
  expect(await appends[2]).toBe(300);
  expect(await logs.offsetOf(BUILD, token)).toBe(300);
  down = false;
  expect(await appends[8]).toBe(900);
  expect((await readAll(logs, { token })).bytes).toEqual(whole);
});

test('bytes that wait for a store that is down are refused, not held for ever, when the log store closes', async () => {
  const { open, token } = await world({ segmentBytes: 10, tailBytesMax: 10 }, DOWN);
  const logs = open();
  expect(await logs.append(BUILD, token, 0, Buffer.alloc(10))).toBe(10);
  const held = logs.append(BUILD, token, 10, Buffer.alloc(10));
  await Promise.all([expect(held).rejects.toMatchObject({ code: 'LEDGER_UNAVAILABLE' }), logs[Symbol.asyncDispose]()]);
});

test('bytes over the limit are dropped, and the agent is not held up by them', async () => {
  const { open, token } = await world({ attemptBytesMax: 1_000 });
  const logs = open();
  expect(await logs.append(BUILD, token, 0, Buffer.alloc(6_000, 'y'))).toBe(6_000);
  expect(await logs.append(BUILD, token, 6_000, Buffer.alloc(10, 'z'))).toBe(6_010);
  expect((await readAll(logs, { token })).bytes.byteLength).toBe(1_000 + 4_096);
});

test('an offset beyond the end of a log that has ended is out of range', async () => {
  const { open, token } = await world();
  const logs = open();
  await logs.append(BUILD, token, 0, Buffer.from('four'));
  await logs.close(BUILD, token, undefined);
  await expect(readAll(logs, { token, offset: 5 })).rejects.toMatchObject({ code: 'OUT_OF_RANGE', field: 'offset' });
});
