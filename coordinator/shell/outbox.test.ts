import { expect, test } from 'vitest';
import { Fault } from '../../base/fault.ts';
import { openOutbox } from './outbox.ts';

const LIMITS = { waitingMax: 4, batchMax: 3 };
const never = new AbortController().signal;

async function collect<T>(batches: AsyncIterable<readonly T[]>): Promise<(readonly T[])[]> {
  const all: (readonly T[])[] = [];
  for await (const batch of batches) all.push(batch);
  return all;
}

test('messages of one turn travel in one batch, in order, up to its bound', async () => {
  const outbox = openOutbox<number>(LIMITS);
  const reading = collect(outbox.batches(never));
  await Promise.resolve();
  for (const message of [1, 2, 3, 4]) outbox.push(message);
  outbox.close();
  expect(await reading).toEqual([[1, 2, 3], [4]]);
});

test('what one commit brings leaves in its turn; what comes later in that turn leaves together after it', async () => {
  const outbox = openOutbox<number>(LIMITS);
  const batches: (readonly number[])[] = [];
  const reading = (async () => {
    for await (const batch of outbox.batches(never)) batches.push(batch);
  })();
  await Promise.resolve();
  outbox.push(1);
  for (let microtask = 0; microtask < 10; microtask += 1) await Promise.resolve();
  expect(batches).toEqual([[1]]);
  outbox.push(2);
  for (let microtask = 0; microtask < 10; microtask += 1) await Promise.resolve();
  outbox.push(3);
  expect(batches).toEqual([[1]]);
  outbox.close();
  await reading;
  expect(batches).toEqual([[1], [2, 3]]);
});

test('a reader that does not keep up is cut off, and holds no memory any more', async () => {
  const outbox = openOutbox<number>(LIMITS);
  for (const message of [1, 2, 3, 4, 5]) outbox.push(message);
  await expect(collect(outbox.batches(never))).rejects.toMatchObject({ code: 'LIMIT_EXCEEDED' });
});

test('closing with a fault delivers what is there first', async () => {
  const outbox = openOutbox<number>(LIMITS);
  outbox.push(1);
  outbox.close(new Fault('BAD_REQUEST', 'no'));
  outbox.push(2);
  const batches = outbox.batches(never)[Symbol.asyncIterator]();
  expect(await batches.next()).toEqual({ done: false, value: [1] });
  await expect(batches.next()).rejects.toMatchObject({ code: 'BAD_REQUEST' });
});

test('an aborted reader ends', async () => {
  const outbox = openOutbox<number>(LIMITS);
  const stop = new AbortController();
  const reading = collect(outbox.batches(stop.signal));
  await Promise.resolve();
  stop.abort();
  expect(await reading).toEqual([]);
});
