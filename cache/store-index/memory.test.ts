import { expect, test } from 'vitest';
import { storeIndexContract } from '../../test/contract/store-index.ts';
import { makeReady } from '../../test/contract/store-index/used.ts';
import { blob, handClock, holdOf, newPack, packName } from '../../test/fixtures/store-index.ts';
import { memoryStoreIndex } from './memory.ts';

storeIndexContract({ name: 'memory', open: async (clock) => memoryStoreIndex({ clock, ready: false }) });

test('losing its last writes closes it, with what it knew then and no hold valid', async () => {
  const signal = new AbortController().signal;
  await using index = memoryStoreIndex({ clock: handClock() });
  const { epoch } = await index.epoch(signal);
  await index.addPack(newPack(packName(1), [blob(1)]), holdOf('h', epoch), signal);
  const before = index.snapshot();
  await index.addPack(newPack(packName(2), [blob(2)]), undefined, signal);
  await using next = index.fork(before);
  await expect(next.locate('apple', ['main'], [blob(1)], undefined, signal)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
  expect(await makeReady(next)).not.toBe(epoch);
  expect((await next.locate('apple', ['main'], [blob(1), blob(2)], undefined, signal)).size).toBe(1);
  await expect(next.extend(holdOf('h', epoch), signal)).rejects.toMatchObject({ code: 'HOLD_LOST' });
});
