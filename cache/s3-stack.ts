import { randomInt } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { openBreaker, type Breaker } from '../base/breaker.ts';
import type { Env } from '../base/env.ts';
import { prngFrom } from '../base/prng.ts';
import type { Keyring } from '../base/signing.ts';
import { diskStore, diskStores } from './disk.ts';
import type { PlanCollection } from './entries/entry-parts.ts';
import { restoreEntries as restoreEntriesOf } from './entries/restore.ts';
import { objectEntryOptions } from './entry-stack.ts';
import { dryRun } from './gc/dry-run.ts';
import { startGc } from './gc/gc.ts';
import { GC_SETTINGS } from './gc/settings.ts';
import { openIndexInRedis } from './index-redis.ts';
import { LruDir } from './lru-dir.ts';
import { NO_MEASURES, type StoreMeasures } from './metrics/store-measures.ts';
import type { BucketState } from './metrics/store-state.ts';
import { withObjectMeasures } from './objects/measured.ts';
import type { ObjectStore } from './objects/object-store.ts';
import { openS3Objects } from './objects/s3.ts';
import { groupsOf, partitionOf } from './owner.ts';
import { keepIndex } from './packs/index-keeper.ts';
import { openPackStore, type PackStore } from './packs/open.ts';
import { openSqliteStoreIndex } from './store-index/sqlite/sqlite.ts';
import { missingNow, type MissingNow } from './staging/missing-now.ts';
import type { StoreIndex } from './store-index/store-index.ts';
import type { BucketConfig } from './store-options.ts';
import type { StoreOf } from './store-view.ts';
import { withLocalTier, type TierCounters } from './with-local-tier.ts';

export type S3StackOptions = BucketConfig & {
  /** Of the local tier and, where that is a file, of the index. */
  readonly dir: string;
  readonly maxBytes: number;
  /** Entries that nobody has used for so long go. @default as garbage collection has it */
  readonly keepMs?: number;
  /** @default nobody listens */
  readonly measures?: StoreMeasures | undefined;
  /** Of the entries that a new index takes up. */
  readonly keys: Keyring;
};

/** Blobs in a bucket, behind a local tier. */
export interface S3Blobs extends AsyncDisposable {
  readonly storeOf: StoreOf;
  /** What cannot be read without the bucket. */
  readonly missing: MissingNow;
  /** Before every request to the bucket. */
  readonly breaker: Breaker;
  readonly packs: PackStore;
  readonly objects: ObjectStore;
  readonly index: StoreIndex;
  readonly planCollection: PlanCollection;
  readonly seen: Omit<BucketState, 'staging'>;
}

/** How often the index is asked whether it has forgotten something. */
const INDEX_EVERY_MS = 5_000;
/** How long a start waits for the index; what comes before it is open is told to come back. */
const OPEN_MS = 5_000;
/** Of the local tier, which one blob may take. */
const LARGEST_SHARE = 8;

/**
 * Opens the bucket, its index and the local tier. An endpoint that is away is no reason not to start: calls then throw STORE_UNAVAILABLE.
 * @throws {Fault} CONFIG_INVALID where the bucket cannot be used as it is described; STORE_UNAVAILABLE for the directory
 */
export async function openS3Blobs(
  { bucket, redis, dir, maxBytes, keys, keepMs = GC_SETTINGS.entryRetentionMs, measures = NO_MEASURES }: S3StackOptions,
  env: Env,
): Promise<S3Blobs> {
  await using stack = new AsyncDisposableStack();
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const breaker = bucketBreaker(env);
  const opened = stack.use(await openS3Objects({ config: bucket, env, whenAway: 'open', guard: breaker }, new AbortController().signal));
  const objects = withObjectMeasures(opened, measures, env.clock);
  const index = stack.use(
    redis === undefined ? await openSqliteStoreIndex({ path: join(dir, 'store-index.sqlite'), env }) : await openIndexInRedis(redis, env),
  );
  // Asked for once the packs of a new index are known, long after they are open.
  const restoreEntries = async (epoch: string, signal: AbortSignal) =>
    void (await restoreEntriesOf(
      objectEntryOptions({ objects, index, keys, storeOf: packs.storeOf, packsOf: packs.packsOf }, env),
      epoch,
      signal,
    ));
  const keeper = stack.use(keepIndex({ objects, index, env, graceMs: GC_SETTINGS.graceMs, everyMs: INDEX_EVERY_MS, restoreEntries }));
  const collector = { objects, index, settings: { ...GC_SETTINGS, entryRetentionMs: keepMs }, env };
  const gc = stack.use(startGc({ ...collector, prng: prngFrom(randomInt(2 ** 48 - 1)) }));
  const files = stack.use(LruDir.open({ dir: join(dir, 'cas'), limitBytes: maxBytes, durability: 'process', groupsOf, env }));
  const packs = stack.use(openPackStore({ objects, index, env, measures })); // hashes what comes in and what comes out of the bucket
  const tier: TierCounters = { hits: 0, misses: 0 };
  const near = diskStores(files, 'process'); // hashes what it gives out
  const storeOf = withLocalTier({
    remote: packs,
    localOf: (owner) => diskStore(files, partitionOf(owner), 'process'),
    local: near,
    blobBytesMax: Math.floor(maxBytes / LARGEST_SHARE),
    counters: tier,
    env,
  });
  // A new index is open after a look through the bucket's records, and filled beside the first work.
  await keeper.opened(AbortSignal.timeout(OPEN_MS)).catch(() => env.log.warn('index-opens-later'));
  const parts = stack.move();
  const planCollection: PlanCollection = (give, signal) => dryRun(collector, give, signal);
  const seen = { packs: packs.counters, tier, tierTotals: () => files.totals(), gc: () => gc.state() };
  return {
    storeOf,
    missing: missingNow(near, packs.ownerOf),
    breaker,
    packs,
    objects,
    index,
    planCollection,
    seen,
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  };
}

/** A bucket that is down is left alone, so that nobody waits for it: see `withStaging`. */
function bucketBreaker(env: Env): Breaker {
  return openBreaker({
    dependency: 'bucket',
    code: 'STORE_UNAVAILABLE',
    clock: env.clock,
    prng: prngFrom(randomInt(2 ** 48 - 1)),
    onChange: ({ kind, lastFault, openForMs }) =>
      env.log[kind === 'open' ? 'warn' : 'info']('bucket-breaker', { state: kind, lastFault, openForMs }),
  });
}
