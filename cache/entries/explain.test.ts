import { expect, test } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import { entryOf, nameOf } from '../../test/contract/entry-store.ts';
import { Departures } from './departures.ts';
import { differencesOf, explainMiss } from './explain.ts';
import { memoryEntryStore } from './memory.ts';

const { signal } = new AbortController();
const partsOf = (parts: Readonly<Record<string, string>>) => Object.entries(parts).map(([name, value]) => ({ name, value }));

test('a miss says which parts of the key are not as they were in the nearest entry', async () => {
  const raw = memoryEntryStore();
  const put = (key: string, scope: string, parts: Readonly<Record<string, string>>) =>
    raw.put({ ...entryOf(nameOf(key, scope)), parts: partsOf(parts) }, { replace: false }, signal);
  await put('far', 'main', { 'env NODE_ENV': 'test', 'file package-lock.json': 'aa', os: 'linux' });
  await put('near', 'main', { 'env NODE_ENV': 'prod', 'file package-lock.json': 'bb', os: 'linux' });
  await put('beside', 'main/pr-8', { 'env NODE_ENV': 'prod', 'file package-lock.json': 'cc', os: 'linux' });
  const missed = { kind: 'dependency', project: 'web', reads: ['main/pr-7', 'main'], key: 'k' } as const;
  const parts = partsOf({ 'env NODE_ENV': 'prod', 'file package-lock.json': 'cc', os: 'linux', 'node version': '24' });
  const explained = await explainMiss({ raw, departures: new Departures(systemClock), beside: false }, { ...missed, parts }, signal);
  expect(explained).toEqual({
    nearest: nameOf('near'),
    differences: [
      { name: 'file package-lock.json', before: 'bb', now: 'cc' },
      { name: 'node version', before: undefined, now: '24' },
    ],
    causes: [],
  });
  expect(differencesOf(partsOf({ a: '1' }), [])).toEqual([{ name: 'a', before: '1', now: undefined }]);
});

test('a miss says what became of the entry, and names scopes beside only to who may know of them', async () => {
  const raw = memoryEntryStore();
  const departures = new Departures({ now: () => Date.UTC(2026, 1, 3, 4, 5, 6) });
  await raw.put(entryOf(nameOf('k', 'main/pr-8')), { replace: false }, signal);
  departures.note(nameOf('k'), 'evicted');
  departures.note(nameOf('k', 'dev'), 'purged');
  const missed = { kind: 'dependency', project: 'web', reads: ['main/pr-7', 'main'], key: 'k', parts: [] } as const;
  const causes = async (beside: boolean) => (await explainMiss({ raw, departures, beside }, missed, signal)).causes;
  const own = 'main: the entry was evicted to make room within the quota, at 2026-02-03T04:05:06.000Z';
  expect(await causes(false)).toEqual([own]);
  expect(await causes(true)).toEqual([own, 'main/pr-8 has an entry of this key, and is not read from main/pr-7']);
  await raw.put(entryOf(nameOf('k')), { replace: false }, signal);
  expect(await causes(false)).toEqual(['main has an entry of this key, and blobs that it names may be gone: the next write replaces it']);
});
