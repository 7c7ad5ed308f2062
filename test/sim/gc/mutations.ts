import type { Env } from '../../../base/env.ts';
import type { expireEntry } from '../../../cache/gc/expire.ts';
import type { OpenEpochOptions } from '../../../cache/gc/open-epoch.ts';
import type { GcSettings } from '../../../cache/gc/settings.ts';
import type { ObjectStore } from '../../../cache/objects/object-store.ts';
import type { StoreIndex } from '../../../cache/store-index/store-index.ts';
import type { Swarm, World } from './world.ts';

/** Changes to what is tried, so that it is broken; each by default none. */
export type Mutation = {
  readonly swarm: (swarm: Swarm) => Swarm;
  readonly objects: (objects: ObjectStore) => ObjectStore;
  /** `pause`: until a while has passed. */
  readonly index: (index: StoreIndex, pause: () => Promise<void>) => StoreIndex;
  readonly savers: (index: StoreIndex) => StoreIndex;
  readonly keepers: (index: StoreIndex) => StoreIndex;
  readonly settings: (settings: GcSettings) => GcSettings;
  readonly env: (env: Env, world: World) => Env;
  readonly open: (
    options: OpenEpochOptions,
    signal: AbortSignal,
    right: (options: OpenEpochOptions, signal: AbortSignal) => Promise<void>,
  ) => Promise<void>;
  readonly packName: (name: string) => string;
  readonly rebuild: (right: () => Promise<void>) => Promise<void>;
  readonly expire: (...args: [...Parameters<typeof expireEntry>, typeof expireEntry]) => Promise<unknown>;
};

export const AS_IT_IS: Mutation = {
  swarm: (swarm) => swarm,
  objects: (objects) => objects,
  index: (index) => index,
  savers: (index) => index,
  keepers: (index) => index,
  settings: (settings) => settings,
  env: (env) => env,
  open: (options, signal, right) => right(options, signal),
  packName: (name) => name,
  rebuild: (right) => right(),
  expire: (objects, index, entry, signal, right) => right(objects, index, entry, signal),
};

/** An index with some methods of its own. */
function changed(index: StoreIndex, methods: Partial<StoreIndex>): StoreIndex {
  return new Proxy(index, { get: (of, name) => Reflect.get(methods, name) ?? Reflect.get(of, name) });
}

async function openUnprepared({ index }: OpenEpochOptions, signal: AbortSignal): Promise<void> {
  await index.open((await index.epoch(signal)).epoch, signal);
}

export const MUTATIONS: readonly { readonly about: string; readonly invariants: readonly string[]; readonly mutation: Mutation }[] = [
  {
    about: 'an index that has forgotten is opened without replaying what the store knows',
    invariants: ['kept', 'url'],
    mutation: {
      ...AS_IT_IS,
      async open(options, signal) {
        const { epoch, open } = await options.index.epoch(signal);
        if (open) return;
        // The mark alone is made, so that collectors go on.
        const { epochMarks, markEpoch } = await import('../../../cache/gc/epoch-marks.ts');
        await markEpoch(options.objects, epoch, await epochMarks(options.objects, signal), signal);
        await openUnprepared(options, signal);
      },
    },
  },
  {
    about: 'there is no grace time',
    invariants: ['url'],
    mutation: { ...AS_IT_IS, settings: (settings) => ({ ...settings, graceMs: 0 }) },
  },
  {
    about: 'references are not counted',
    invariants: ['kept'],
    mutation: {
      ...AS_IT_IS,
      savers: (index) => changed(index, { prepare: (entry, hold, signal) => index.prepare({ ...entry, packs: [] }, hold, signal) }),
    },
  },
  {
    about: 'a new epoch counts as complete before its store was read',
    invariants: ['kept', 'found'],
    mutation: { ...AS_IT_IS, rebuild: async () => {} },
  },
  {
    about: 'a rebuild of an epoch that is over goes on in the next one',
    invariants: ['kept', 'found', 'dropped'],
    mutation: {
      ...AS_IT_IS,
      // It takes a rebuild that stands still while the index begins anew.
      swarm: (swarm) => ({ ...swarm, failovers: 0.8, stalls: 0.02 }),
      keepers: (index) =>
        changed(index, {
          restoreEntry: async (entry, _epoch, signal) => index.restoreEntry(entry, (await index.epoch(signal)).epoch, signal),
        }),
    },
  },
  {
    about: 'nothing is ever condemned',
    invariants: ['collected'],
    mutation: { ...AS_IT_IS, index: (index) => changed(index, { condemn: async () => false }) },
  },
  {
    about: 'names of packs are used again',
    invariants: ['name-once'],
    mutation: { ...AS_IT_IS, packName: (name) => `${'0'.repeat(31)}${name.slice(0, 1)}` },
  },
  {
    about: 'a commit is undone though it was published meanwhile',
    invariants: ['kept', 'found'],
    mutation: {
      ...AS_IT_IS,
      // Looked at as soon as they are begun, by one who is slow: neither does harm where the fault is not, and few are met otherwise.
      settings: (settings) => ({ ...settings, pendingMs: 0 }),
      index: (index, pause) =>
        changed(index, {
          async dropEntry({ onlyPending = false, ...entry }, signal) {
            if (onlyPending) await pause();
            return index.dropEntry(entry, signal);
          },
        }),
    },
  },
  {
    about: 'condemn records are not written',
    invariants: ['kept', 'url'],
    mutation: {
      ...AS_IT_IS,
      // They matter only where an index forgets between a condemnation and the deletion: as often as in any run.
      swarm: (swarm) => ({ ...swarm, failovers: 0.4 }),
      objects: (objects) => ({ ...objects, put: async (key, ...rest) => (key.startsWith('c/') ? undefined : objects.put(key, ...rest)) }),
    },
  },
];
