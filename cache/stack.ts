import { join } from 'node:path';
import type { Env } from '../base/env.ts';
import type { ActionCache } from './action-cache/action-cache.ts';
import { diskActionCache } from './action-cache/disk.ts';
import { withCompleteness } from './action-cache/with-completeness.ts';
import { diskStores } from './disk.ts';
import { LruDir } from './lru-dir.ts';
import type { StoreOf } from './store-view.ts';

export type StackOptions = {
  readonly dir: string;
  readonly maxBytes: number;
  readonly maxResultBytes: number;
  readonly durability: 'process' | 'power';
};

/** What the data plane keeps. */
export interface DiskStack extends AsyncDisposable {
  /** The blobs of a view; owners (a project's scopes) share the space and nothing else. */
  readonly storeOf: StoreOf;
  readonly actionCache: ActionCache;
}

/** Composes the data plane's stores; nothing else does. */
export function openDiskStack(options: StackOptions, env: Env): DiskStack {
  const { durability } = options;
  const blobs = LruDir.open({ dir: join(options.dir, 'cas'), limitBytes: options.maxBytes, durability, env });
  const results = LruDir.open({ dir: join(options.dir, 'results'), limitBytes: options.maxResultBytes, durability, env });
  const storeOf = diskStores(blobs, durability); // hashes what comes in and goes out
  return {
    storeOf,
    actionCache: withCompleteness(diskActionCache(results), storeOf), // outermost: what is not complete is not seen
    async [Symbol.asyncDispose]() {
      await blobs[Symbol.asyncDispose]();
      await results[Symbol.asyncDispose]();
    },
  };
}
