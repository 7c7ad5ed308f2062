import { join } from 'node:path';
import type { Env } from '../base/env.ts';
import type { Keyring } from '../base/signing.ts';
import type { ActionCache } from './action-cache/action-cache.ts';
import { directReads, type DirectReads } from './direct-reads.ts';
import { directWrites } from './direct-writes.ts';
import { diskStores } from './disk.ts';
import type { EntryParts } from './entries/entry-parts.ts';
import { openDiskEntries, openObjectEntries, packHoldings, type EntryStack } from './entry-stack.ts';
import type { StoreMeasures } from './metrics/store-measures.ts';
import type { BucketState, StoreState } from './metrics/store-state.ts';
import { openOwnedDir, type Holding, type OwnedDir } from './owned-dir.ts';
import type { FloorOf, QuotaOf } from './quotas.ts';
import { openS3Blobs } from './s3-stack.ts';
import { openStaging, type Staging } from './staging/open.ts';
import type { Owner } from './store-index/store-index.ts';
import type { BucketConfig } from './store-options.ts';
import type { StoreOf } from './store-view.ts';
import { withLargestBlob } from './with-largest-blob.ts';

export type StackOptions = {
  readonly dir: string;
  readonly maxBytes: number;
  readonly maxResultBytes: number;
  readonly durability: 'process' | 'power';
  /** Signs entries, and says which are believed. */
  readonly keys: Keyring;
  /** What nobody has used for so long goes. @default 30 days */
  readonly keepMs?: number;
  /** @default no owner has a bound of its own */
  readonly quotaOf?: QuotaOf;
  /** @default no scope demands a zone */
  readonly floorOf?: FloorOf;
  /** @default nobody listens */
  readonly measures?: StoreMeasures;
};

const KEEP_MS = 30 * 24 * 3_600_000;

/** What the data plane keeps. */
export interface DiskStack extends AsyncDisposable {
  /** The blobs of a view; owners (a project's scopes) share the space and nothing else. */
  readonly storeOf: StoreOf;
  readonly entries: EntryParts;
  /** Complete entries only. */
  readonly actionCache: ActionCache;
  /** Undefined where blobs lie in files. */
  readonly direct: DirectReads | undefined;
  /** What waits for a bucket that does not answer; undefined where blobs lie in files. */
  readonly staging: Pick<Staging, 'holdsAny' | 'state'> | undefined;
  readonly state: StoreState;
}

/** Composes the data plane's stores over files; with `openStack` and `openS3Blobs`, nothing else does. */
export function openDiskStack(options: StackOptions, env: Env): DiskStack {
  const { durability, quotaOf, maxBytes: limitBytes, keepMs = KEEP_MS } = options;
  const limitOf = (owner: Owner) => {
    const quota = quotaOf?.(owner);
    return quota === undefined ? undefined : { bytes: quota.blobBytes, fileCount: Number.POSITIVE_INFINITY };
  };
  const blobs = openOwnedDir({ dir: join(options.dir, 'cas'), limitBytes, durability, keepMs, limitOf }, env);
  const files = diskStores(blobs.files, durability, { isLastReader: true }); // hashes what comes in and goes out
  const storeOf = withLargestBlob(files, limitBytes);
  return withEntries(storeOf, blobs, () => blobs.holdings(), options, env);
}

/**
 * Composes the data plane's stores: over files, or over a bucket where one is given.
 * @throws {Fault} CONFIG_INVALID where the bucket cannot be used as it is described; STORE_UNAVAILABLE
 */
export async function openStack(options: StackOptions & { readonly bucket: BucketConfig | undefined }, env: Env): Promise<DiskStack> {
  const { bucket, dir, maxBytes } = options;
  if (bucket === undefined) return openDiskStack(options, env);
  const { keys, quotaOf = () => undefined, floorOf = () => undefined } = options;
  const { storeOf, missing, breaker, packs, objects, index, planCollection, seen, ...blobs } = await openS3Blobs(
    { ...bucket, dir, maxBytes, keys, keepMs: options.keepMs ?? KEEP_MS, measures: options.measures },
    env,
  );
  const blobHoldings = (signal: AbortSignal) => packHoldings(index, signal);
  const shared = { keys, quotaOf, floorOf, storeOf, blobHoldings, objects, index };
  const entries = openObjectEntries({ ...shared, packsOf: packs.packsOf }, env);
  // Above the entries, which believe in nothing that the bucket does not have.
  const staging = await openStaging({ dir, staging: bucket.staging, storeOf: entries.storeOf, missing, objects, breaker }, env);
  const bucketState = { ...seen, staging: () => staging.state() };
  const state = { ...stateOf(entries, () => ({ tier: seen.tierTotals() }), bucketState), breakers: () => [breaker.view()] };
  const parts = { ...entries.parts, complete: staging.entries(entries.parts.complete), planCollection };
  const actionCache = staging.actions(entries.actionCache);
  const close = async () => {
    await staging[Symbol.asyncDispose](); // it drains into what is closed next
    await entries[Symbol.asyncDispose]();
  };
  const served = { ...entries, parts, actionCache, [Symbol.asyncDispose]: close };
  const writes = directWrites({ objects, index, storeOf: entries.storeOf, env });
  return { ...stackOf(staging.storeOf, served, blobs), direct: { ...directReads(packs, index), writes }, staging, state };
}

function withEntries(
  storeOf: StoreOf,
  blobs: OwnedDir,
  blobHoldings: () => Promise<readonly Holding[]>,
  { quotaOf = () => undefined, floorOf = () => undefined, keepMs = KEEP_MS, ...options }: StackOptions,
  env: Env,
): DiskStack {
  const entries = openDiskEntries({ ...options, keepMs, quotaOf, floorOf, storeOf, blobHoldings }, env);
  const { totals } = entries;
  const directories = () => ({ blobs: blobs.files.totals(), ...(totals === undefined ? {} : { entries: totals() }) });
  return { ...stackOf(storeOf, entries, blobs), direct: undefined, staging: undefined, state: stateOf(entries, directories, undefined) };
}

function stateOf({ counters, indexed }: EntryStack, directories: StoreState['directories'], bucket: BucketState | undefined): StoreState {
  return { entries: counters, directories, bucket, indexed, breakers: () => [] };
}

/** Entries end before the blobs that they stand on. */
function stackOf(storeOf: StoreOf, entries: EntryStack, blobs: AsyncDisposable): Omit<DiskStack, 'direct' | 'staging' | 'state'> {
  return {
    storeOf,
    entries: entries.parts,
    actionCache: entries.actionCache,
    async [Symbol.asyncDispose]() {
      await entries[Symbol.asyncDispose]();
      await blobs[Symbol.asyncDispose]();
    },
  };
}
