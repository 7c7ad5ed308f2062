import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import type { Env } from '../../base/env.ts';
import { silentLogger } from '../../base/log.ts';
import { openDataPlane } from '../../cache/rpc/client.ts';
import { digestOf } from '../../cache/digest.ts';
import { startNode, type RunningProcess } from '../fixtures/run-process.ts';
import { startRelay } from '../fixtures/relay.ts';
import { tempDir } from '../fixtures/temp-dir.ts';
import { until } from '../fixtures/until.ts';

const env: Env = { log: silentLogger, clock: systemClock };
const never = new AbortController().signal;
const BIG = randomBytes(24 * 1024 * 1024);
const SMALL = randomBytes(1_000);

/** A data plane's process on the blobs in `dir`; several share them. */
async function plane(dir: string): Promise<{ readonly process: RunningProcess; readonly address: string } & AsyncDisposable> {
  const process = startNode(['cache/main.ts', '--listen', '127.0.0.1:0', '--dir', dir, '--allow-local']);
  const { address } = await process.ready();
  return { process, address: String(address), [Symbol.asyncDispose]: () => process[Symbol.asyncDispose]() };
}

/** Reads it in pieces, slowly enough for the other end to be killed meanwhile. */
async function* pieces(bytes: Uint8Array, half: () => Promise<void>): AsyncGenerator<Uint8Array> {
  for (let offset = 0; offset < bytes.length; offset += 1024 * 1024) {
    if (offset === 12 * 1024 * 1024) await half();
    yield bytes.subarray(offset, offset + 1024 * 1024);
  }
}

test('an upload whose data plane is killed goes on at the next one', async () => {
  await using dir = await tempDir();
  await using first = await plane(dir.path);
  await using second = await plane(dir.path);
  await using data = openDataPlane({ link: { address: first.address, token: undefined }, instanceName: 'local/main', env });
  let killed = 0;
  const source = {
    [Symbol.asyncIterator]: () =>
      pieces(BIG, async () => {
        killed += 1;
        if (killed > 1) return;
        first.process.kill('SIGKILL');
        await first.process.ended;
        data.moveTo(second.address);
      }),
  };
  await data.store.put(digestOf(BIG), source, never);
  await data.store.put(digestOf(SMALL), SMALL, never);
  expect(killed).toBe(2);
  expect(await data.store.findMissing([digestOf(BIG), digestOf(SMALL)], never)).toEqual([]);
});

test('a download whose data plane is killed goes on at the next one, from where it was', async () => {
  await using dir = await tempDir();
  await using first = await plane(dir.path);
  await using second = await plane(dir.path);
  await using relay = await startRelay(first.address);
  await using data = openDataPlane({
    link: { address: relay.address, token: undefined },
    instanceName: 'local/main',
    env,
    locate: async () => second.address,
  });
  await data.store.put(digestOf(BIG), BIG, never);
  const got: Uint8Array[] = [];
  for await (const chunk of data.store.get(digestOf(BIG), undefined, never)) {
    if (got.length === 0) {
      first.process.kill('SIGKILL');
      await first.process.ended;
      relay.cut();
    }
    got.push(chunk);
  }
  expect(Buffer.concat(got).equals(BIG)).toBe(true);
});

test('calls wait for a data plane that is started again at the same address', async () => {
  await using dir = await tempDir();
  await using first = await plane(dir.path);
  await using data = openDataPlane({ link: { address: first.address, token: undefined }, instanceName: 'local/main', env });
  await data.store.put(digestOf(SMALL), SMALL, never);
  first.process.kill('SIGKILL');
  await first.process.ended;
  let done = false;
  const asking = data.store.findMissing([digestOf(SMALL)], never).finally(() => (done = true));
  const args = ['cache/main.ts', '--listen', first.address, '--dir', dir.path, '--allow-local'];
  await using again = startNode(args);
  await again.ready();
  await until('it is answered', () => done);
  expect(await asking).toEqual([]);
});

/** One data plane whose link can be made half-open, and a client, already connected, that notices after `idleMs`. */
async function linked(dir: string, idleMs = 2_000) {
  await using stack = new AsyncDisposableStack();
  const server = stack.use(await plane(dir));
  const relay = stack.use(await startRelay(server.address));
  const link = { address: relay.address, token: undefined };
  const data = stack.use(openDataPlane({ link, instanceName: 'local/main', env, idleMs }));
  const first = randomBytes(512 * 1024);
  await data.store.put(digestOf(first), first, never);
  const parts = stack.move();
  return { relay, data, [Symbol.asyncDispose]: () => parts.disposeAsync() };
}

test('a download whose link is half-open goes on over a new connection', async () => {
  await using dir = await tempDir();
  await using at = await linked(dir.path);
  await at.data.store.put(digestOf(BIG), BIG, never);
  const before = at.relay.taken;
  const got: Uint8Array[] = [];
  for await (const chunk of at.data.store.get(digestOf(BIG), undefined, never)) {
    if (got.length === 0) at.relay.halfOpen();
    got.push(chunk);
  }
  expect(Buffer.concat(got).equals(BIG)).toBe(true);
  expect(at.relay.taken).toBeGreaterThan(before);
});

test('an upload whose link is half-open goes on over a new connection', async () => {
  await using dir = await tempDir();
  await using at = await linked(dir.path);
  let reads = 0;
  const source = {
    [Symbol.asyncIterator]: () =>
      pieces(BIG, async () => {
        reads += 1;
        if (reads === 1) at.relay.halfOpen();
      }),
  };
  await at.data.store.put(digestOf(BIG), source, never);
  expect(reads).toBeGreaterThan(1);
  expect(await at.data.store.findMissing([digestOf(BIG)], never)).toEqual([]);
});

test('a slow reader and a slow source are not taken for a server that hangs', async () => {
  await using dir = await tempDir();
  const idleMs = 10_000; // a busy host may be silent for some seconds
  await using at = await linked(dir.path, idleMs);
  const { store } = at.data;
  const there = randomBytes(BIG.byteLength);
  await store.put(digestOf(there), there, never);
  const before = at.relay.taken;
  let reads = 0;
  const source = {
    [Symbol.asyncIterator]: () =>
      pieces(BIG, async () => {
        reads += 1;
        await sleep(1.2 * idleMs);
      }),
  };
  let bytes = 0;
  const read = async () => {
    for await (const chunk of store.get(digestOf(there), undefined, never)) {
      if (bytes === 0) await sleep(1.2 * idleMs);
      bytes += chunk.byteLength;
    }
  };
  await Promise.all([store.put(digestOf(BIG), source, never), read()]);
  expect(reads).toBe(1);
  expect(bytes).toBe(BIG.byteLength);
  expect(at.relay.taken).toBe(before);
});
