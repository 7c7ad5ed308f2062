import { expect, test } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import { expectFault } from '../../test/contract/blob-store.ts';
import { newKey, objectStoreContract, readObject } from '../../test/contract/object-store.ts';
import { faultyObjects, PASS, type ObjectCall, type ObjectFate } from '../../test/fixtures/faulty-objects.ts';
import { memoryObjects } from './memory.ts';

const signal = new AbortController().signal;
const open = async () => memoryObjects({ clock: systemClock });

objectStoreContract({ name: 'memory', open, traits: { conditionalPut: true, presigned: false, shared: false } });
objectStoreContract({
  name: 'memory without conditions',
  open: async () => memoryObjects({ clock: systemClock, conditionalPut: false }),
  traits: { conditionalPut: false, presigned: false, shared: false },
});

test('has no URLs', async () => {
  await using store = await open();
  expect(() => store.presignGet(newKey(), 60_000)).toThrow(/no URLs/);
});

test('a bucket in trouble loses calls, or only their answers, and breaks or damages what is read', async () => {
  const calls: ObjectCall[] = [];
  let fate: ObjectFate = PASS;
  await using bucket = memoryObjects({ clock: systemClock });
  const store = faultyObjects(bucket, (call) => {
    calls.push(call);
    return fate;
  });
  const put = (key: string) => store.put(key, Buffer.from('content'), { ifAbsent: true }, signal);
  fate = { kind: 'lost' };
  await expectFault('STORE_UNAVAILABLE', put('lost'));
  fate = { kind: 'answer-lost' };
  await expectFault('STORE_UNAVAILABLE', put('kept'));
  expect([...bucket.contents().keys()]).toEqual(['kept']);
  fate = PASS;
  expect((await readObject(store, 'kept')).toString()).toBe('content');
  fate = { kind: 'damage', offset: 1 };
  expect((await readObject(store, 'kept')).toString()).toBe('cnntent');
  fate = { kind: 'cut', afterBytes: 3 };
  await expectFault('STORE_UNAVAILABLE', readObject(store, 'kept'));
  expect(calls.map(({ kind }) => kind)).toEqual(['put', 'put', 'get', 'get', 'get']);
});
