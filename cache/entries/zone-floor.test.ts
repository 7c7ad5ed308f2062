import { expect, test } from 'vitest';
import { expectFault } from '../../test/contract/blob-store.ts';
import { entryOf, entryStoreContract, nameOf } from '../../test/contract/entry-store.ts';
import { parseFloors } from '../quotas.ts';
import { memoryEntryStore } from './memory.ts';
import { withZoneFloor } from './zone-floor.ts';

const { signal } = new AbortController();

entryStoreContract({
  name: 'a store of which no scope demands a zone',
  signed: false,
  open: async () => ({ store: withZoneFloor(memoryEntryStore(), () => undefined), [Symbol.asyncDispose]: async () => {} }),
});

test('a scope takes and gives only what agents of its zone or a higher one made', async () => {
  const raw = memoryEntryStore();
  const store = withZoneFloor(raw, parseFloors(['web/release=trusted']));
  const made = (key: string, zone: string, scope = 'release') => entryOf(nameOf(key, scope), 'v', { zone });
  for (const zone of ['untrusted', '', 'nonsense']) await expectFault('FORBIDDEN', store.put(made('k', zone), { replace: true }, signal));
  for (const zone of ['trusted', 'production'])
    expect((await store.put(made(`k-${zone}`, zone), { replace: false }, signal)).kind).toBe('kept');
  expect((await store.put(made('k', 'untrusted', 'main'), { replace: false }, signal)).kind).toBe('kept');
});

test('what came before the demand is not given, does not hide what is above it, and gives its name away', async () => {
  const raw = memoryEntryStore();
  await raw.put(entryOf(nameOf('npm-1', 'release'), 'old', { zone: 'untrusted' }), { replace: false }, signal);
  await raw.put(entryOf(nameOf('npm-1', 'main'), 'base', { zone: 'untrusted' }), { replace: false }, signal);
  const store = withZoneFloor(raw, parseFloors(['web/release=trusted']));
  expect((await store.get('dependency', 'web', ['release', 'main'], 'npm-1', signal))?.at.owner.scope).toBe('main');
  expect(await store.get('dependency', 'web', ['release'], 'npm-1', signal)).toBeUndefined();
  const put = await store.put(entryOf(nameOf('npm-1', 'release'), 'new', { zone: 'trusted' }), { replace: false }, signal);
  expect(put.kind).toBe('kept');
  await raw.put(entryOf(nameOf('npm-2', 'release'), 'newer', { zone: 'untrusted' }), { replace: false }, signal);
  expect((await store.newest('dependency', 'web', ['release'], 'npm-', signal))?.at.key).toBe('npm-1');
});
