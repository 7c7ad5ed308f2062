import { describe, expect, test } from 'vitest';
import { Fault } from '../../base/fault.ts';
import { encodeStepResult } from '../../cache/action/action-result.ts';
import { NO_USAGE } from '../../cache/action/result.ts';
import { digestOf } from '../../cache/digest.ts';
import { NO_PROVENANCE, type Entry, type KeyPart } from '../../cache/entries/entry-store.ts';
import { entriesThatFail, memoryEntries } from '../../test/fixtures/memory-entries.ts';
import type { DependencyCache } from '../core/spec.ts';
import { entryKeyOf, keyPrefixOf, partsOf, saltOf, writtenKeyOf } from './dependency-key.ts';
import { lookUpAll } from './dependency-lookup.ts';

const { signal } = new AbortController();

function cacheOf(key: string, over: Partial<DependencyCache> = {}): DependencyCache {
  return { name: 'npm', paths: ['.npm'], key, parts: [], fallback: [], pulls: true, pushes: true, ...over };
}

const lock = (text: string): KeyPart => ({ name: 'file package-lock.json', value: digestOf(Buffer.from(text)) });
const node = (version: string): KeyPart => ({ name: 'host.node', value: version });

/** An entry of the cache in a scope, whose tree is named after it. */
function entryOf(cache: DependencyCache, scope: string, writtenAt: number): Entry {
  const digest = digestOf(Buffer.from(`${cache.key} in ${scope}`));
  const outputs = cache.paths.map((path) => ({ kind: 'directory', path, tree: digest, root: digest, bytes: 7 }) as const);
  const value = encodeStepResult({ exitCode: 0, outputs, log: undefined, usage: NO_USAGE, agent: '', startedAt: 0, endedAt: 0 });
  const at = { kind: 'dependency', owner: { project: 'shop', scope }, key: entryKeyOf(cache, 'untrusted') } as const;
  return { at, value, parts: partsOf(cache), provenance: { ...NO_PROVENANCE, build: 'b-1', writer: 'executor' }, writtenAt };
}

async function entriesWith(...entries: readonly Entry[]) {
  const memory = memoryEntries();
  for (const entry of entries) await memory.put(entry, { replace: false }, signal);
  return memory;
}

async function lookUp(entries: Parameters<typeof lookUpAll>[1]['entries'], cache: DependencyCache, scope = 'main/pr-7') {
  const [found] = await lookUpAll([cache], { entries, project: 'shop', scope, zone: 'untrusted' }, signal, {
    lookupMs: 200,
    explainMs: 200,
  });
  if (found === undefined) throw new Error('one cache has one lookup');
  return found;
}

describe('what is found', () => {
  test('is the key itself, in the nearest scope that is read', async () => {
    const entries = await entriesWith(
      entryOf(cacheOf('a'), 'main', 1),
      entryOf(cacheOf('b'), 'main', 1),
      entryOf(cacheOf('b'), 'main/pr-7', 2),
    );
    expect((await lookUp(entries, cacheOf('a'))).found).toMatchObject({ kind: 'exact', key: 'a', scope: 'main', build: 'b-1' });
    expect((await lookUp(entries, cacheOf('b'))).found).toMatchObject({ kind: 'exact', scope: 'main/pr-7' });
    expect((await lookUp(entries, cacheOf('b'), 'main')).found).toMatchObject({ kind: 'exact', scope: 'main' });
  });

  test('is never what a scope beside or below has', async () => {
    const entries = await entriesWith(entryOf(cacheOf('a'), 'main/pr-8', 1), entryOf(cacheOf('a'), 'main/pr-7/x', 1));
    const missed = await lookUp(entries, cacheOf('a', { fallback: ['a', 'b'] }));
    expect(missed.found).toEqual({ kind: 'nothing' });
    expect(JSON.stringify(missed)).not.toMatch(/pr-8|pr-7\/x/);
  });

  test('is the first fallback that has any, there the newest of the nearest scope', async () => {
    const entries = await entriesWith(
      entryOf(cacheOf('linux-24-old'), 'main', 1),
      entryOf(cacheOf('linux-24-new'), 'main', 5),
      entryOf(cacheOf('linux-22-own'), 'main/pr-7', 9),
    );
    const fallback = ['linux-24-', 'linux-'];
    expect((await lookUp(entries, cacheOf('linux-24-x', { fallback }))).found).toMatchObject({ kind: 'fallback', key: 'linux-24-new' });
    expect((await lookUp(entries, cacheOf('linux-26-x', { fallback: ['linux-26-', 'linux-'] }))).found).toMatchObject({
      kind: 'fallback',
      key: 'linux-22-own',
      scope: 'main/pr-7',
    });
  });

  test('has the same name and the same paths', async () => {
    const entries = await entriesWith(entryOf(cacheOf('a'), 'main', 1));
    expect((await lookUp(entries, cacheOf('a', { name: 'other' }))).found.kind).toBe('nothing');
    const moved = await lookUp(entries, cacheOf('a', { paths: ['.npm', 'more'], fallback: ['a'] }));
    expect(moved.found.kind).toBe('nothing');
    expect(moved.why).toContain('paths was .npm and is .npm, more');
  });

  test('is nothing where the policy takes nothing up, and nobody is asked', async () => {
    const found = await lookUp(entriesThatFail(new Error('asked')), cacheOf('a', { pulls: false }));
    expect(found).toEqual({ name: 'npm', found: { kind: 'unwanted' }, why: [] });
  });
});

describe('a miss says why', () => {
  test('by the parts of the key that are other than those of the entry that is taken instead', async () => {
    const before = cacheOf('22-one', { parts: [node('22.1.0'), lock('one'), { name: 'host.os', value: 'linux' }] });
    const now = cacheOf('24-two', { parts: [node('24.0.0'), lock('two'), { name: 'env.CI', value: '' }], fallback: ['2'] });
    const { found, why } = await lookUp(await entriesWith(entryOf(before, 'main', 1)), now);
    expect(found.kind).toBe('fallback');
    expect(why).toEqual([
      'host.node was 22.1.0 and is 24.0.0',
      'package-lock.json has changed',
      'env.CI is new: ',
      'host.os is no part of the key any more',
    ]);
  });

  test('by the nearest entry where no fallback has any', async () => {
    const entries = await entriesWith(entryOf(cacheOf('x-one', { parts: [lock('one')] }), 'main', 1));
    const { why } = await lookUp(entries, cacheOf('x-two', { parts: [lock('two')] }));
    expect(why).toEqual(['the nearest is x-one in the scope main', 'package-lock.json has changed']);
  });

  test('by what the system did: nothing yet, evicted', async () => {
    const entries = await entriesWith(entryOf(cacheOf('a', { name: 'other' }), 'main', 1));
    expect((await lookUp(entries, cacheOf('a'))).why).toEqual([
      'nothing is kept under the name "npm" yet in the scopes main/pr-7, main, which are read here',
    ]);
    entries.departures.note(entryOf(cacheOf('a'), 'main', 1).at, 'evicted');
    expect((await lookUp(entries, cacheOf('a'))).why[0]).toMatch(/^main: the entry was evicted to make room/);
  });
});

describe('what cannot be looked up is a warning, never an error', () => {
  test.for([
    [new Fault('STORE_UNAVAILABLE', 'connection refused'), 'the store could not be asked, so the step begins without: connection refused'],
    [new Fault('FORBIDDEN', 'no'), 'the scopes main/pr-7, main may not be read, so the step begins without: no'],
  ] as const)('%s', async ([fault, warning]) => {
    expect(await lookUp(entriesThatFail(fault), cacheOf('a'))).toEqual({ name: 'npm', found: { kind: 'unknown' }, why: [], warning });
  });

  test('a store that does not answer in time', async () => {
    const never = new Promise<never>(() => {});
    const silent = {
      find: (_k: unknown, _o: unknown, _key: unknown, _p: unknown, stop: AbortSignal) => aborted(stop, never),
      explain: () => never,
    };
    expect((await lookUp(silent, cacheOf('a'))).warning).toBe(
      'the store could not be asked, so the step begins without: no answer within 200ms',
    );
  });

  test('an explanation that does not come costs the explanation alone', async () => {
    const entries = await entriesWith();
    const found = await lookUp({ find: entries.find, explain: () => Promise.reject(new Error('too slow')) }, cacheOf('a'));
    expect(found).toEqual({ name: 'npm', found: { kind: 'nothing' }, why: ['why could not be found out: too slow'] });
  });

  test('a coordinator without a store for them', async () => {
    expect((await lookUp(undefined, cacheOf('a'))).found.kind).toBe('unknown');
  });
});

function aborted(stop: AbortSignal, never: Promise<never>): Promise<never> {
  return Promise.race([never, new Promise<never>((_, reject) => stop.addEventListener('abort', () => reject(stop.reason)))]);
}

test('the key text is in the salt of the action, and nothing else of a dependency cache is', () => {
  const salt = (...caches: readonly DependencyCache[]) => saltOf({ salt: 's', dependencyCaches: caches });
  expect(saltOf({ salt: 's' })).toBe('s');
  expect(salt()).toBe('s');
  const one = salt(cacheOf('a', { paths: ['x', 'y'] }));
  expect(salt(cacheOf('a', { paths: ['y', 'x'], fallback: ['z'], parts: [lock('l')], pulls: false }))).toBe(one);
  expect(
    new Set([
      one,
      salt(cacheOf('b')),
      salt(cacheOf('a')),
      salt(cacheOf('a', { name: 'n' })),
      salt(cacheOf('a'), cacheOf('b', { name: 'n' })),
    ]).size,
  ).toBe(5);
});

test('a stored key can be read back, and begins with what all of the same name and paths begin with', () => {
  const cache = cacheOf('a/b/c');
  expect(writtenKeyOf(entryKeyOf(cache, 'untrusted'))).toBe('a/b/c');
  expect(entryKeyOf(cache, 'untrusted').startsWith(keyPrefixOf(cache, 'untrusted'))).toBe(true);
  expect(Buffer.byteLength(entryKeyOf(cacheOf('k'.repeat(400), { name: 'n'.repeat(63) }), 'production'))).toBeLessThanOrEqual(512);
});
