import { expect, test } from 'vitest';
import { ZONES } from '../../base/zone.ts';
import type { DependencyCache } from '../core/spec.ts';
import { entryKeyOf, keyPrefixOf, partsOf, saltOf, writtenKeyOf } from './dependency-key.ts';

const CACHE: DependencyCache = { name: 'npm', paths: ['b', 'a'], key: 'k/1', parts: [], fallback: [], pulls: true, pushes: true };

test('entries that keep other things, or lie at other paths, are other entries; what is taken up of one is not part of it', () => {
  const prefixes = [
    CACHE,
    { ...CACHE, paths: ['a'] },
    { ...CACHE, keeps: ['modes'] as const },
    { ...CACHE, keeps: ['mtimes'] as const },
    { ...CACHE, keeps: ['mtimes', 'modes'] as const },
  ].map((cache) => keyPrefixOf(cache, 'untrusted'));
  expect(new Set(prefixes).size).toBe(prefixes.length);
  expect(keyPrefixOf({ ...CACHE, keeps: ['modes', 'mtimes'] }, 'untrusted')).toBe(prefixes[4]);
  expect(keyPrefixOf({ ...CACHE, paths: ['a', 'b'] }, 'untrusted')).toBe(prefixes[0]);
  const part: DependencyCache = { ...CACHE, only: ['bin'], pushes: false };
  expect([entryKeyOf(part, 'untrusted'), writtenKeyOf(entryKeyOf(part, 'untrusted'))]).toEqual([entryKeyOf(CACHE, 'untrusted'), 'k/1']);
  expect(new Set(ZONES.map((zone) => entryKeyOf(CACHE, zone))).size).toBe(ZONES.length);
  expect(partsOf({ ...CACHE, keeps: ['mtimes', 'modes'] }).at(-1)).toEqual({ name: 'kept beside contents', value: 'modes, mtimes' });
});

test('what a step sees of its dependency caches is part of its action, and actions of before stay what they were', () => {
  const salts = [[], [CACHE], [{ ...CACHE, only: ['bin'] }], [{ ...CACHE, keeps: ['modes'] as const }]].map((dependencyCaches) =>
    saltOf({ salt: 's', dependencyCaches }),
  );
  expect(new Set(salts).size).toBe(4);
  expect(salts.slice(0, 2)).toEqual(['s', '["s",{"name":"npm","paths":["a","b"],"key":"k/1"}]']);
});
