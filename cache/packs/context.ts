import type { Env } from '../../base/env.ts';
import type { StoreMeasures } from '../metrics/store-measures.ts';
import type { ObjectStore } from '../objects/object-store.ts';
import type { StoreIndex } from '../store-index/store-index.ts';
import type { PackCounters } from './counters.ts';
import { RECIPE_PARTS_MAX } from './recipe.ts';

/** How packs are made and read; sizes in bytes. */
export type PackSettings = {
  /** zstd's level for frames. */
  readonly level: number;
  /** Stored size at which a pack is closed. */
  readonly packBytes: number;
  /** How long a pack for which somebody waits stays open when nothing more comes. */
  readonly idleMs: number;
  /** How long a pack stays open at most from when somebody waits for it. */
  readonly maxDelayMs: number;
  /** How long a pack stays open that has pieces of uploads under way only: nobody waits for it yet. */
  readonly pieceDelayMs: number;
  /** Most bytes of blobs that are taken in and not durable yet. */
  readonly writeBytes: number;
  /** Most pieces that one recipe lists; a blob of more has a recipe of pages. */
  readonly recipeParts: number;
  /** Packs put at once. */
  readonly putCount: number;
  /** Most bytes of ranges being fetched. */
  readonly fetchBytes: number;
  /** Most bytes of decoded frames kept for the next reader. */
  readonly cacheBytes: number;
  /** Most bytes that all readers of large blobs together have fetched ahead. */
  readonly aheadBytes: number;
  /** How long packs are promised after they were stored, and those that an upload builds on while it runs. */
  readonly holdMs: number;
  /** Bounds of the number of requests that read at once. */
  readonly getCountMin: number;
  readonly getCountMax: number;
  /** How long no byte may come before a second request for the same bytes is made, where the endpoint's own times do not say less. */
  readonly hedgeMs: number;
  /** How often a put, a get or a call of the index is tried in all; an object store below may try each of them several times itself. */
  readonly triesCount: number;
};

const MIB = 1024 * 1024;

/** Sizes and counts: measured, see docs/cache-format.md; times: what S3's makers advise for retries. */
export const PACK_SETTINGS: PackSettings = {
  level: 3,
  packBytes: 16 * MIB,
  idleMs: 20,
  maxDelayMs: 100,
  pieceDelayMs: 2_000,
  writeBytes: 128 * MIB,
  recipeParts: RECIPE_PARTS_MAX,
  putCount: 8,
  fetchBytes: 128 * MIB,
  cacheBytes: 64 * MIB,
  aheadBytes: 256 * MIB,
  holdMs: 15 * 60_000,
  getCountMin: 8,
  getCountMax: 32,
  hedgeMs: 2_000,
  triesCount: 3,
};

/** What all parts of one pack store share. */
export type PackContext = {
  readonly objects: ObjectStore;
  readonly index: StoreIndex;
  readonly settings: PackSettings;
  readonly counters: PackCounters;
  readonly measures: Pick<StoreMeasures, 'packStored'>;
  readonly env: Env;
  /** Aborts when the store is disposed of. */
  readonly life: AbortSignal;
};
