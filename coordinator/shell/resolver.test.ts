import { expect, test } from 'vitest';
import { Fault } from '../../base/fault.ts';
import { memoryLogger } from '../../base/log.ts';
import { present } from '../../base/assert.ts';
import { encodeStepResult } from '../../cache/action/action-result.ts';
import { NO_USAGE, type OutputEntry, type StepResult } from '../../cache/action/result.ts';
import type { BlobStore } from '../../cache/blob-store.ts';
import { digestOf, type Digest } from '../../cache/digest.ts';
import { NO_PROVENANCE } from '../../cache/entries/entry-store.ts';
import { memoryStore } from '../../cache/memory.ts';
import { blobReader } from '../../cache/read-blob.ts';
import { decodeDirectory, encodeDirectory, EMPTY_DIRECTORY } from '../../cache/tree/directory.ts';
import { entriesThatFail, memoryEntries } from '../../test/fixtures/memory-entries.ts';
import { PLAIN_STEP } from '../../test/fixtures/plain-step.ts';
import type { Event, Resolution } from '../core/event.ts';
import { parseBuildId, stepIdOf } from '../core/ids.ts';
import type { StepSpec } from '../core/spec.ts';
import { entryKeyOf } from './dependency-key.ts';
import type { DependencyPlace } from './dependency-lookup.ts';
import { openResolver, type NeededOutputs, type Resolvable } from './resolver.ts';

const STEP = stepIdOf(present(parseBuildId(`b-${'3'.repeat(26)}`), 'a valid id'), 'link');
const never = new AbortController().signal;

function specOf(over: Partial<StepSpec> = {}): StepSpec {
  return { ...PLAIN_STEP, name: 'link', command: ['ld'], outputs: ['app'], cacheable: false, ...over };
}

function resultOf(outputs: readonly OutputEntry[]): StepResult {
  return { exitCode: 0, outputs, log: undefined, usage: NO_USAGE, agent: 'a', startedAt: 0, endedAt: 0 };
}

const needed = (step: string, outputs: readonly OutputEntry[], workingDirectory = ''): NeededOutputs => ({
  step,
  workingDirectory,
  result: resultOf(outputs),
});
const file = (path: string, text: string): OutputEntry => ({ kind: 'file', path, digest: digestOf(Buffer.from(text)), executable: false });

/** Resolves one step; `hit` is what the action cache has for whatever action comes. */
async function resolve(
  over: Partial<Resolvable>,
  hit?: StepResult,
): Promise<{ resolution: Resolution; asked: Digest[]; store: BlobStore }> {
  const store = over.cache?.store ?? memoryStore();
  const asked: Digest[] = [];
  const actions = {
    async get(action: Digest) {
      asked.push(action);
      return hit;
    },
    async put() {},
  };
  const resolvable: Resolvable = { spec: specOf(), scope: 'main/pr-7', needed: [], ...over, cache: { store, actions } };
  const { promise, resolve: answered } = Promise.withResolvers<Event>();
  await using resolver = openResolver({
    describe: () => resolvable,
    post: answered,
    log: memoryLogger(),
    deadlineMs: 10_000,
    concurrency: 2,
  });
  resolver.resolve(STEP);
  const event = await promise;
  if (event.kind !== 'step-resolved') throw new Error(`unexpected ${event.kind}`);
  return { resolution: event.resolution, asked, store };
}

const NO_STORE: BlobStore = {
  traits: { durability: 'none', shared: false },
  async *get(): AsyncGenerator<Uint8Array> {
    yield await Promise.reject(new Fault('STORE_UNAVAILABLE', 'the store is down'));
  },
  put: () => Promise.reject(new Fault('STORE_UNAVAILABLE', 'the store is down')),
  findMissing: () => Promise.reject(new Fault('STORE_UNAVAILABLE', 'the store is down')),
};
const cacheOn = (store: BlobStore): Resolvable['cache'] => ({ store, actions: { get: async () => undefined, put: async () => {} } });

test('a step that is not cacheable and needs no outputs is resolved without the data plane', async () => {
  const { resolution, asked } = await resolve({
    cache: cacheOn(NO_STORE),
    spec: specOf({ inputRoot: digestOf(Buffer.from('x')), inputBytes: 7 }),
  });
  expect(resolution).toMatchObject({ kind: 'ready', action: { inputRoot: digestOf(Buffer.from('x')), inputBytes: 7 } });
  expect(asked).toEqual([]);
});

test('needed outputs appear where they were made, below the directory in which their step ran', async () => {
  const { resolution, store } = await resolve({ needed: [needed('a', [file('lib/a.o', 'aa')], 'src'), needed('b', [file('b.o', 'bbb')])] });
  if (resolution.kind !== 'ready') throw new Error(resolution.kind);
  const read = async (digest: Digest) => decodeDirectory(await blobReader(store)(digest, never));
  const root = await read(resolution.action.inputRoot);
  expect(root.files.map((node) => node.name)).toEqual(['b.o']);
  const src = await read(present(root.directories[0], 'src').digest);
  const lib = await read(present(src.directories[0], 'lib').digest);
  expect(lib.files).toEqual([{ name: 'a.o', digest: digestOf(Buffer.from('aa')), executable: false }]);
  expect(resolution.action).toMatchObject({ inputBytes: 5, parts: [{ bytes: 2 }, { bytes: 3 }] });
});

test('outputs that contradict each other are the step’s fault, with path and step named', async () => {
  const { resolution } = await resolve({ needed: [needed('a', [file('out', 'one')]), needed('b', [file('out', 'two')])] });
  expect(resolution).toEqual({ kind: 'invalid', message: expect.stringMatching(/step b.*out/s) });
});

test('inputs that have gone are an error and no fault of the step; a store that is down is asked again', async () => {
  const spec = specOf({ inputRoot: digestOf(Buffer.from('gone')) });
  const one = [needed('a', [file('out', 'one')])];
  expect((await resolve({ spec, needed: one })).resolution).toMatchObject({ kind: 'inputs-lost' });
  expect((await resolve({ spec, needed: one, cache: cacheOn(NO_STORE) })).resolution).toMatchObject({ kind: 'unavailable' });
});

test('a cacheable step is looked up, and a hit needs nothing to be stored', async () => {
  const hit = resultOf([file('app', 'linked')]);
  const { resolution, asked, store } = await resolve(
    { spec: specOf({ cacheable: true }), needed: [needed('a', [file('a.o', 'aa')])] },
    hit,
  );
  expect(resolution).toMatchObject({ kind: 'hit', result: hit });
  if (resolution.kind !== 'hit') throw new Error(resolution.kind);
  expect(asked).toEqual([resolution.action.action]);
  expect(await store.findMissing([resolution.action.inputRoot], never)).toEqual([resolution.action.inputRoot]);
});

test('after a miss the action and its input tree are in the store, and the miss is explained', async () => {
  const store = memoryStore();
  const root = encodeDirectory(EMPTY_DIRECTORY);
  await store.put(digestOf(root), root, never);
  const { resolution } = await resolve({
    spec: specOf({ cacheable: true }),
    needed: [needed('a', [file('a.o', 'aa')])],
    cache: cacheOn(store),
  });
  if (resolution.kind !== 'ready') throw new Error(resolution.kind);
  const { action, inputRoot } = resolution.action;
  expect(await store.findMissing([present(action, 'it is looked up'), inputRoot], never)).toEqual([]);
  expect(resolution.cache?.join()).toContain('main/pr-7, main');
});

test('a failed entry of the action cache is no hit', async () => {
  const { resolution } = await resolve({ spec: specOf({ cacheable: true }) }, { ...resultOf([]), exitCode: 1 });
  expect(resolution.kind).toBe('ready');
});

test('dependency caches are looked up after a miss: what is found goes with the action, whose key is made of their keys alone', async () => {
  const cacheOf = (key: string) => ({ name: 'npm', paths: ['.npm'], key, parts: [], fallback: ['k'], pulls: true, pushes: true });
  const withKey = async (key: string, entries: DependencyPlace['entries']) => {
    const { resolution } = await resolve({
      spec: specOf({ cacheable: true, dependencyCaches: [cacheOf(key)] }),
      dependencies: { entries, project: 'shop', scope: 'main/pr-7', zone: 'untrusted' },
    });
    if (resolution.kind !== 'ready') throw new Error(resolution.kind);
    return resolution.action;
  };
  const memory = memoryEntries();
  const [before] = [await withKey('k2', memory)];
  expect(before.dependencies).toMatchObject([{ found: { kind: 'nothing' } }]);
  const tree = digestOf(Buffer.from('tree'));
  const value = encodeStepResult(resultOf([{ kind: 'directory', path: '.npm', tree, root: tree, bytes: 5 }]));
  const at = { kind: 'dependency', owner: { project: 'shop', scope: 'main' }, key: entryKeyOf(cacheOf('k1'), 'untrusted') } as const;
  await memory.put({ at, value, parts: [], provenance: NO_PROVENANCE, writtenAt: 1 }, { replace: false }, never);
  const after = await withKey('k2', memory);
  expect(after.dependencies).toMatchObject([{ found: { kind: 'fallback', key: 'k1', trees: [{ path: '.npm', root: tree }] } }]);
  expect(after.parts).toEqual([{ root: tree, bytes: 5 }]);
  expect(after.inputBytes).toBe(5);
  expect(after.action).toBe(before.action);
  expect((await withKey('k1', memory)).action).not.toBe(before.action);
  // A store that fails costs the head start and not the step.
  expect(await withKey('k2', entriesThatFail(new Fault('STORE_UNAVAILABLE', 'down')))).toMatchObject({
    action: before.action,
    dependencies: [{ found: { kind: 'unknown' }, warning: expect.stringContaining('down') }],
  });
});
