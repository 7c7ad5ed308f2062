import { hash } from 'node:crypto';
import type { Zone } from '../../base/zone.ts';
import type { KeyPart } from '../../cache/entries/entry-store.ts';
import type { DependencyCache, StepSpec } from '../core/spec.ts';

/**
 * What the stored keys of a dependency cache begin with: its name, and a digest of its paths, so that an entry is never placed where
 * it was not made, of what is kept beside contents, and of the zone of the step, so that none begins with what steps for another one
 * left. What follows is the key as people write it.
 */
export function keyPrefixOf({ name, paths, keeps = [] }: Pick<DependencyCache, 'name' | 'paths' | 'keeps'>, zone: Zone): string {
  const what = [...paths.toSorted(), ...keeps.map((property) => `/${property}`).toSorted()]; // no path begins so
  if (zone !== 'untrusted') what.push(`/zone=${zone}`);
  return `${name}/${hash('sha256', what.join('\0'), 'hex').slice(0, 12)}/`;
}

/** The key under which entries are stored: at most 63 + 14 + `LIMITS.dependencyKeyBytes` bytes. */
export function entryKeyOf(cache: Pick<DependencyCache, 'name' | 'paths' | 'keeps' | 'key'>, zone: Zone): string {
  return keyPrefixOf(cache, zone) + cache.key;
}

/** The key as people wrote it, of an entry with the same name. */
export function writtenKeyOf(entryKey: string): string {
  return entryKey.split('/').slice(2).join('/');
}

/** What is kept with an entry to explain later misses. */
export function partsOf({ name, parts, paths, keeps }: DependencyCache): readonly KeyPart[] {
  return [
    ...parts,
    { name: 'paths', value: [...paths].toSorted().join(', ') },
    { name: 'dependency cache', value: name },
    ...(keeps === undefined ? [] : [{ name: 'kept beside contents', value: keeps.toSorted().join(', ') }]),
  ];
}

/**
 * The salt of the step's action. What dependency caches ask for is in it, what is found under them is not: two runs
 * that could begin with different content have the same action where their keys are the same.
 */
export function saltOf({ salt, dependencyCaches }: Pick<StepSpec, 'salt' | 'dependencyCaches'>): string {
  if (dependencyCaches === undefined || dependencyCaches.length === 0) return salt;
  const asked = dependencyCaches.map(({ name, paths, key, only, keeps }) => ({ name, paths: [...paths].toSorted(), key, only, keeps }));
  return JSON.stringify([salt, ...asked]);
}
