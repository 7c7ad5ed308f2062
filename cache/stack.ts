import { join } from 'node:path';
import type { Env } from '../base/env.ts';
import type { Keyring } from '../base/signing.ts';
import type { ActionCache } from './action-cache/action-cache.ts';
import { entryActionCache } from './action-cache/entries.ts';
import { diskStores } from './disk.ts';
import { withCompleteEntries } from './entries/complete.ts';
import { diskEntryStore } from './entries/disk.ts';
import type { EntryStore } from './entries/entry-store.ts';
import { Needs } from './entries/needs.ts';
import { LruDir } from './lru-dir.ts';
import { groupsOf } from './owner.ts';
import type { StoreOf } from './store-view.ts';

export type StackOptions = {
  readonly dir: string;
  readonly maxBytes: number;
  readonly maxResultBytes: number;
  readonly durability: 'process' | 'power';
  /** Signs entries, and says which are believed. */
  readonly keys: Keyring;
};

/** What the data plane keeps. */
export interface DiskStack extends AsyncDisposable {
  /** The blobs of a view; owners (a project's scopes) share the space and nothing else. */
  readonly storeOf: StoreOf;
  /** Complete entries only, but in lists. */
  readonly entries: EntryStore;
  readonly actionCache: ActionCache;
}

/** Composes the data plane's stores; nothing else does. */
export function openDiskStack(options: StackOptions, env: Env): DiskStack {
  const { durability, keys } = options;
  const shared = { durability, groupsOf, env };
  const blobs = LruDir.open({ ...shared, dir: join(options.dir, 'cas'), limitBytes: options.maxBytes });
  const records = LruDir.open({ ...shared, dir: join(options.dir, 'entries'), limitBytes: options.maxResultBytes });
  const storeOf = diskStores(blobs, durability); // hashes what comes in and goes out
  const signed = diskEntryStore(records, keys, env); // believes no record that was not signed for its name
  const entries = withCompleteEntries(signed, new Needs(storeOf), env.log); // outermost: what is not complete is not seen
  return {
    storeOf,
    entries,
    actionCache: entryActionCache(entries),
    async [Symbol.asyncDispose]() {
      await blobs[Symbol.asyncDispose]();
      await records[Symbol.asyncDispose]();
    },
  };
}
