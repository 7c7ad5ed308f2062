import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import { memoryLogger, silentLogger } from '../../base/log.ts';
import { freshKeyring } from '../../base/signing.ts';
import { expectFault, readAll } from '../../test/contract/blob-store.ts';
import { entryOf, entryStoreContract, nameOf, plain } from '../../test/contract/entry-store.ts';
import { encodeStepResult } from '../action/action-result.ts';
import { NO_USAGE } from '../action/result.ts';
import { digestOf } from '../digest.ts';
import { Collector } from '../gc/collector.ts';
import { openEpoch } from '../gc/open-epoch.ts';
import { GC_SETTINGS } from '../gc/settings.ts';
import { memoryObjects } from '../objects/memory.ts';
import type { ObjectStore } from '../objects/object-store.ts';
import { openPackStore, type PackStore } from '../packs/open.ts';
import { rebuildIndex } from '../packs/rebuild.ts';
import { memoryStoreIndex } from '../store-index/memory.ts';
import type { MemoryIndex } from '../store-index/memory-index.ts';
import type { MemoryState } from '../store-index/memory-state.ts';
import { parseQuotas } from '../quotas.ts';
import { Departures } from './departures.ts';
import type { EntryStore } from './entry-store.ts';
import { indexedPacks } from './index-packs.ts';
import { Needs } from './needs.ts';
import { objectQuotas } from './object-quotas.ts';
import { objectEntryStore, readObject, type ObjectEntryOptions } from './objects.ts';
import { restoreEntries } from './restore.ts';

const env = { log: silentLogger, clock: systemClock };
const { signal } = new AbortController();
const keys = freshKeyring();
const NOTHING = { needsOf: async () => [], packsOf: async () => ({ packs: new Set<never>(), missing: [] }) };

for (const indexedBytes of [0, 64 * 1024]) {
  entryStoreContract({
    name: `objects, with ${indexedBytes} bytes of a record in the index`,
    signed: indexedBytes === 0, // else the good copy is the one in the index
    async open() {
      let time = systemClock.now();
      const clock = { now: () => (time += 1) }; // no two writes at the same time
      const [objects, index] = [memoryObjects({ clock: systemClock }), memoryStoreIndex({ clock, ready: false })];
      await openEpoch({ objects, index, env, graceMs: GC_SETTINGS.graceMs }, signal);
      const rowOf = ({ kind, owner, key }: ReturnType<typeof nameOf>) => index.entry(kind, owner.project, [owner.scope], key, signal);
      const read = (key: string) => readObject(objects, key, 2 ** 26, signal);
      return {
        store: objectEntryStore({ objects, index, keys, ...NOTHING, indexedBytes, env }),
        damage: async (from, to, change) => {
          const [source, target] = [await rowOf(from), await rowOf(to)];
          if (source === undefined || target === undefined) throw new Error('both must be there');
          await objects.put(target.object, change(await read(source.object)), { ifAbsent: false }, signal);
        },
        holds: async (at) => (await rowOf(at)) !== undefined,
        async [Symbol.asyncDispose]() {},
      };
    },
  });
}

const bytesOf = (text: string) => Buffer.from(text);
/** The value of an entry that needs one blob of that text. */
const valueOf = (text: string) =>
  encodeStepResult({
    exitCode: 0,
    outputs: [{ kind: 'file', path: 'out', digest: digestOf(bytesOf(text)), executable: false }],
    log: undefined,
    usage: NO_USAGE,
    agent: 'a',
    startedAt: 1,
    endedAt: 2,
  });

/** Objects, an index and the packs over them, with a clock that a test moves. */
class Bucket implements AsyncDisposable {
  nowMs = systemClock.now();
  readonly clock = { now: () => (this.nowMs += 1), monotonic: () => this.nowMs };
  readonly log = memoryLogger();
  readonly env = { log: this.log, clock: this.clock };
  readonly objects: ReturnType<typeof memoryObjects>;
  index: MemoryIndex;
  packs: PackStore;

  static async open(): Promise<Bucket> {
    const bucket = new Bucket();
    await bucket.rebuild();
    return bucket;
  }

  private constructor() {
    this.objects = memoryObjects({ clock: this.clock });
    this.index = memoryStoreIndex({ clock: this.clock });
    this.packs = this.#open();
  }

  #open(): PackStore {
    return openPackStore({ objects: this.objects, index: this.index, env: { log: this.log, clock: systemClock }, settings: { idleMs: 0 } });
  }

  options(objects: ObjectStore = this.objects): ObjectEntryOptions {
    const needs = new Needs(this.packs.storeOf);
    return {
      objects,
      index: this.index,
      keys,
      needsOf: (at, value, stop) => needs.of(at.owner, value, stop),
      packsOf: (view, digests, hold, stop) => this.packs.packsOf(view, digests, hold, stop),
      env: this.env,
    };
  }

  store(objects?: ObjectStore): EntryStore {
    return objectEntryStore(this.options(objects));
  }

  async put(scope: string, text: string): Promise<void> {
    const store = this.packs.storeOf({ project: 'web', reads: [scope], writes: scope, producer: 'b1' });
    await store.put(digestOf(bytesOf(text)), bytesOf(text), signal);
  }

  entry(key: string, text: string, scope = 'main', kind: 'action' | 'dependency' = 'dependency') {
    return { ...entryOf(nameOf(key, scope, kind)), value: Buffer.from(valueOf(text)) };
  }

  async get(key: string, scopes = ['main'], kind: 'action' | 'dependency' = 'dependency') {
    return plain(await this.store().get(kind, 'web', scopes, key, signal));
  }

  /** What the index knows now. */
  snapshot(): MemoryState {
    return this.index.snapshot();
  }

  /** An index that knows nothing, or what it did then, filled from the bucket. */
  async rebuild(known?: MemoryState) {
    await this.packs[Symbol.asyncDispose]();
    this.index = this.index.fork(known);
    this.packs = this.#open();
    const restored: unknown[] = [];
    const restore = async (epoch: string, stop: AbortSignal) => void restored.push(await restoreEntries(this.options(), epoch, stop));
    const env = { log: this.log, clock: systemClock };
    await rebuildIndex({ objects: this.objects, index: this.index, restoreEntries: restore, env, graceMs: GC_SETTINGS.graceMs }, signal);
    return restored[0];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.packs[Symbol.asyncDispose]();
  }
}

/** A writer that dies with the first put of an entry: before the object is there, or after. */
function dying(objects: ObjectStore, when: 'before' | 'after'): ObjectStore {
  return {
    ...objects,
    async put(key, body, options, stop) {
      if (when === 'after') await objects.put(key, body, options, stop);
      throw new Error('killed');
    },
  };
}

describe('entries of an object store', () => {
  test('need their blobs in what their scope reads: another scope’s are none', async () => {
    await using bucket = await Bucket.open();
    await bucket.put('main/pr-8', 'secret');
    await bucket.put('main', 'base');
    const entry = bucket.entry('k', 'secret', 'main/pr-7');
    await expectFault('BLOB_UNKNOWN', bucket.store().put(entry, { replace: false }, signal));
    expect(await bucket.store().list('web', {}, undefined, 10, signal)).toEqual([]);
    expect((await bucket.store().put(bucket.entry('k', 'base', 'main/pr-7'), { replace: false }, signal)).kind).toBe('kept');
    const [pack] = await bucket.index.packs({ owner: { project: 'web', scope: 'main' } }, undefined, 10, signal);
    expect(pack?.refCount).toBe(1); // what it needs stays for as long as it does
  });

  test.for(['before', 'after'] as const)(
    'show nothing of a writer that was killed %s its object was there, and the name is free again',
    async (when) => {
      await using bucket = await Bucket.open();
      await bucket.put('main', 'text');
      const entry = bucket.entry('k', 'text');
      await expect(bucket.store(dying(bucket.objects, when)).put(entry, { replace: false }, signal)).rejects.toThrow('killed');
      expect(await bucket.get('k')).toBeUndefined();
      bucket.nowMs += 3 * 60_000;
      const second = await bucket.store().put(bucket.entry('k', 'text'), { replace: false }, signal);
      // What has its object is finished, else undone.
      expect(second.kind).toBe(when === 'after' ? 'same' : 'kept');
      expect(await bucket.get('k')).toEqual(when === 'after' ? entry : plain(second.entry));
      const objects = [...bucket.objects.contents().keys()].filter((key) => key.startsWith('e/'));
      expect(objects).toHaveLength(1);
    },
  );

  test('are not there where something too large for a record lies in their place, and can be written again', async () => {
    await using bucket = await Bucket.open();
    await bucket.put('main', 'text');
    const store = objectEntryStore({ ...bucket.options(), indexedBytes: 0 });
    await store.put(bucket.entry('npm-1', 'text'), { replace: false }, signal);
    const [object = ''] = [...bucket.objects.contents().keys()].filter((key) => key.startsWith('e/'));
    await bucket.objects.put(object, Buffer.alloc(24 * 2 ** 20 + 1), { ifAbsent: false }, signal);
    expect(await store.get('dependency', 'web', ['main'], 'npm-1', signal)).toBeUndefined();
    expect(await store.list('web', {}, undefined, 9, signal)).toEqual([]);
    expect(bucket.objects.contents().has(object)).toBe(false);
    expect(bucket.log.entries.filter(({ event }) => event === 'entry-refused')).toHaveLength(1);
    expect((await store.put(bucket.entry('npm-1', 'text'), { replace: false }, signal)).kind).toBe('kept');
  });

  test('that a killed writer left half done are finished or undone by garbage collection', async () => {
    await using bucket = await Bucket.open();
    await bucket.put('main', 'text');
    for (const [key, when] of [
      ['undone', 'before'],
      ['finished', 'after'],
    ] as const) {
      await expect(bucket.store(dying(bucket.objects, when)).put(bucket.entry(key, 'text'), { replace: false }, signal)).rejects.toThrow(
        'killed',
      );
    }
    bucket.nowMs += GC_SETTINGS.pendingMs * 2;
    await new Collector({ objects: bucket.objects, index: bucket.index, settings: GC_SETTINGS, env: bucket.env }).pass(signal);
    expect([(await bucket.get('finished'))?.at.key, await bucket.get('undone')]).toEqual(['finished', undefined]);
  });

  test('are found again after the index was lost, and no other', async () => {
    await using bucket = await Bucket.open();
    await bucket.put('main', 'text');
    await bucket.put('main/pr-7', 'mine');
    const store = bucket.store();
    const entries = [bucket.entry('npm-1', 'text'), bucket.entry('npm-2', 'text'), bucket.entry('k', 'mine', 'main/pr-7')];
    for (const entry of entries) await store.put(entry, { replace: false }, signal);
    const dropped = bucket.entry('npm-3', 'text');
    await store.put(dropped, { replace: false }, signal);
    await store.drop(dropped.at, signal);
    // Somebody who may write to the bucket and has no key: another's key, a copy in another place, a damaged copy.
    const forger = objectEntryStore({
      ...bucket.options(),
      index: memoryStoreIndex({ clock: bucket.clock }),
      keys: freshKeyring(),
      ...NOTHING,
    });
    await forger.put(bucket.entry('forged', 'text'), { replace: false }, signal);
    const [mine] = [...bucket.objects.contents()].filter(([key]) => key.startsWith('e/web/main/pr-7/'));
    if (mine === undefined) throw new Error('it is there');
    await bucket.objects.put(mine[0].replace('main/pr-7/', 'main/'), mine[1], { ifAbsent: true }, signal);
    await bucket.objects.put(`${mine[0]}0`, mine[1].subarray(0, 200), { ifAbsent: true }, signal);
    expect(await bucket.rebuild()).toEqual({ restored: 3, incomplete: 0, refused: 3 });
    for (const entry of entries) expect(await bucket.get(entry.at.key, [entry.at.owner.scope])).toEqual(entry);
    for (const key of ['npm-3', 'forged', 'k']) expect(await bucket.get(key)).toBeUndefined();
    expect((await bucket.store().newest('dependency', 'web', ['main'], 'npm-', signal))?.at.key).toBe('npm-2');
  });

  test('of which a pack is gone are misses after the index was lost', async () => {
    await using bucket = await Bucket.open();
    await bucket.put('main', 'text');
    await bucket.put('main', 'other');
    for (const text of ['text', 'other']) await bucket.store().put(bucket.entry(text, text), { replace: false }, signal);
    const [pack] = (
      await bucket.packs.packsOf(
        { project: 'web', reads: ['main'], writes: undefined, producer: '' },
        [digestOf(bytesOf('text'))],
        undefined,
        signal,
      )
    ).packs;
    await bucket.objects.delete(`p/${pack?.slice(0, 2)}/${pack}`, signal);
    expect(await bucket.rebuild()).toEqual({ restored: 1, incomplete: 1, refused: 0 });
    expect([await bucket.get('text'), (await bucket.get('other'))?.at.key]).toEqual([undefined, 'other']);
  });

  test('that were replaced before a crash: the last counts', async () => {
    await using bucket = await Bucket.open();
    for (const text of ['first', 'second']) await bucket.put('main', text);
    const undeleting: ObjectStore = { ...bucket.objects, delete: async () => Promise.reject(new Error('killed')) };
    for (const kind of ['action', 'dependency'] as const) {
      for (const text of ['first', 'second'])
        await bucket.store(undeleting).put(bucket.entry('k', text, 'main', kind), { replace: true }, signal);
    }
    await bucket.rebuild();
    expect((await bucket.get('k', ['main'], 'action'))?.value).toEqual(Buffer.from(valueOf('second')));
    expect((await bucket.get('k'))?.value).toEqual(Buffer.from(valueOf('second')));
  });

  test('of which an older version is in an index that has forgotten the replacement: the newest counts', async () => {
    await using bucket = await Bucket.open();
    for (const text of ['first', 'second']) await bucket.put('main', text);
    const undeleting: ObjectStore = { ...bucket.objects, delete: async () => Promise.reject(new Error('killed')) };
    const save = (text: string) => bucket.store(undeleting).put(bucket.entry('k', text), { replace: true }, signal);
    await save('first');
    const before = bucket.snapshot();
    await save('second');
    await bucket.rebuild(before);
    expect((await bucket.get('k'))?.value).toEqual(Buffer.from(valueOf('second')));
  });

  test('that are taken away while a rebuild reads them do not come back', async () => {
    await using bucket = await Bucket.open();
    await bucket.put('main', 'text');
    await bucket.store().put(bucket.entry('k', 'text'), { replace: false }, signal);
    const { objects, index } = bucket;
    const late: ObjectStore = {
      ...objects,
      async *get(...call) {
        yield* objects.get(...call);
        await bucket.store().drop(nameOf('k'), signal);
      },
    };
    const { epoch } = await index.epoch(signal);
    expect(await restoreEntries(bucket.options(late), epoch, signal)).toMatchObject({ restored: 0 });
    expect(await index.entries({}, undefined, 10, signal)).toEqual([]);
  });
});

describe('owners of a bucket', () => {
  const dependency = (key: string) => nameOf(key);

  test('lose to their own quota what they used least, and nothing to others', async () => {
    await using bucket = await Bucket.open();
    const departures = new Departures(bucket.clock);
    const quotaOf = parseQuotas(['web/main=1Gi:2']);
    const quotas = objectQuotas({ index: bucket.index, objects: bucket.objects, quotaOf, departures, env: bucket.env });
    for (const [index, scope] of ['main', 'main', 'main', 'main', 'main/pr-7', 'main/pr-7', 'main/pr-7'].entries()) {
      await bucket.put(scope, `text ${index}`);
      await bucket.store().put(bucket.entry(`k${index}`, `text ${index}`, scope), { replace: false }, signal);
      bucket.nowMs += 120_000; // uses are noted by the minute
    }
    await bucket.get('k0');
    bucket.nowMs += 120_000;
    await quotas.enforce(signal);
    const left = await bucket.store().list('web', {}, undefined, 100, signal);
    expect(left.map(({ at }) => at.key)).toEqual(['k0', 'k3', 'k4', 'k5', 'k6']);
    expect([departures.of(dependency('k1'))?.cause, departures.of(dependency('k0'))]).toEqual(['evicted', undefined]);
    expect([quotas.evictedOf({ project: 'web', scope: 'main' }), quotas.evictedOf({ project: 'web', scope: 'main/pr-7' })]).toEqual([2, 0]);
    await quotas.enforce(signal);
    expect(await bucket.store().list('web', {}, undefined, 100, signal)).toHaveLength(5);
  });

  test('keep what fits into their bytes, by the packs that it needs, and may not upload far beyond them', async () => {
    await using bucket = await Bucket.open();
    const random = (index: number) => `${index} `.repeat(3) + randomBytes(20_000).toString('base64');
    const texts = Array.from({ length: 6 }, (_, index) => random(index));
    for (const [index, text] of texts.entries()) {
      await bucket.put('main', text);
      await bucket.store().put(bucket.entry(`k${index}`, text), { replace: false }, signal);
      bucket.nowMs += 120_000;
    }
    const departures = new Departures(bucket.clock);
    const quotaOf = parseQuotas(['web/main=50Ki:100']); // two of six packs
    const quotas = objectQuotas({ index: bucket.index, objects: bucket.objects, quotaOf, departures, env: bucket.env });
    await quotas.enforce(signal);
    expect((await bucket.store().list('web', {}, undefined, 100, signal)).map(({ at }) => at.key)).toEqual(['k4', 'k5']);
    const view = (scope: string) => ({ project: 'web', reads: [scope], writes: scope, producer: 'b1' });
    const upload = (scope: string, text: string) =>
      quotas
        .guarded(bucket.packs.storeOf)(view(scope))
        .put(digestOf(bytesOf(text)), bytesOf(text), signal);
    await expectFault('STORE_FULL', upload('main', 'one more'));
    await upload('dev', 'one more');
    bucket.nowMs += GC_SETTINGS.packRetentionMs * 2;
    await new Collector({ objects: bucket.objects, index: bucket.index, settings: GC_SETTINGS, env: bucket.env }).pass(signal);
    await quotas.enforce(signal); // what nothing needs was condemned
    await upload('main', 'one more');
  });

  test('lose the packs of a purge once nobody can count on them any more, and the others with what needs them', async () => {
    await using bucket = await Bucket.open();
    const packs = indexedPacks(bucket.index, bucket.env);
    await bucket.put('main', 'named');
    await bucket.put('main', 'loose');
    await bucket.store().put(bucket.entry('k', 'named'), { replace: false }, signal);
    const retire = (dryRun: boolean) => packs.retire('web', { build: 'b1' }, dryRun, signal);
    expect(await retire(true)).toEqual({ retiredCount: 0, waitingCount: 2 }); // held since the upload
    bucket.nowMs += GC_SETTINGS.packRetentionMs / 2;
    const found = bucket.packs.storeOf({ project: 'web', reads: ['main'], writes: 'main', producer: 'b2' });
    expect(await found.findMissing([digestOf(bytesOf('loose'))], signal)).toEqual([]); // promised to another build
    bucket.nowMs += GC_SETTINGS.packRetentionMs / 2 + 1;
    expect(await retire(false)).toEqual({ retiredCount: 0, waitingCount: 2 });
    expect((await readAll(found, digestOf(bytesOf('loose')))).toString()).toBe('loose');
    bucket.nowMs += GC_SETTINGS.packRetentionMs;
    expect(await retire(true)).toEqual({ retiredCount: 1, waitingCount: 1 });
    expect(await packs.retire('api', { build: 'b1' }, false, signal)).toEqual({ retiredCount: 0, waitingCount: 0 });
    expect(await retire(false)).toEqual({ retiredCount: 1, waitingCount: 1 });
    const missing = (text: string) =>
      bucket.packs
        .storeOf({ project: 'web', reads: ['main'], writes: undefined, producer: '' })
        .findMissing([digestOf(bytesOf(text))], signal);
    expect([await missing('loose'), await missing('named')]).toEqual([[digestOf(bytesOf('loose'))], []]);
    expect(await bucket.get('k')).toBeDefined();
    await bucket.store().drop(nameOf('k'), signal);
    bucket.nowMs += GC_SETTINGS.packRetentionMs + 3_600_000;
    expect(await retire(false)).toEqual({ retiredCount: 1, waitingCount: 0 });
  });
});
