import { join } from 'node:path';
import type { Env } from '../base/env.ts';
import type { ActionCache } from './action-cache/action-cache.ts';
import { diskActionCache } from './action-cache/disk.ts';
import { withCompleteness } from './action-cache/with-completeness.ts';
import type { BlobStore } from './blob-store.ts';
import { diskStore } from './disk.ts';
import { LruDir } from './lru-dir.ts';

export type StackOptions = {
  readonly dir: string;
  readonly maxBytes: number;
  readonly maxResultBytes: number;
  readonly durability: 'process' | 'power';
};

/** What the data plane keeps. */
export interface DiskStack extends AsyncDisposable {
  /** The blobs of a project; projects share the space and nothing else. */
  storeOf(project: string): BlobStore;
  readonly actionCache: ActionCache;
}

/** Composes the data plane's stores; nothing else does. */
export function openDiskStack(options: StackOptions, env: Env): DiskStack {
  const { durability } = options;
  const blobs = LruDir.open({ dir: join(options.dir, 'cas'), limitBytes: options.maxBytes, durability, env });
  const results = LruDir.open({ dir: join(options.dir, 'results'), limitBytes: options.maxResultBytes, durability, env });
  const stores = new Map<string, BlobStore>();
  const storeOf = (project: string): BlobStore => {
    let store = stores.get(project);
    if (store === undefined) {
      store = diskStore(blobs, project, durability); // hashes what comes in and goes out
      stores.set(project, store);
    }
    return store;
  };
  return {
    storeOf,
    actionCache: withCompleteness(diskActionCache(results), storeOf), // outermost: what is not complete is not seen
    async [Symbol.asyncDispose]() {
      await blobs[Symbol.asyncDispose]();
      await results[Symbol.asyncDispose]();
    },
  };
}
