import { isFault } from '../../base/fault.ts';
import { sizeOf, type Digest } from '../digest.ts';
import type { BlobPlace } from '../store-index/store-index.ts';
import { BytesLru } from './bytes-lru.ts';
import { decodeRecipe, type Recipe } from './recipe.ts';
import type { Reach, StoredParts } from './stored-part.ts';

const CACHE_BYTES = 32 * 1024 * 1024;

/** Reads recipes and their pages, and keeps the latest in memory: they are asked for again with every look for a large blob. */
export class Recipes {
  readonly #parts: StoredParts;
  readonly #kept = new BytesLru(CACHE_BYTES);

  constructor(parts: StoredParts) {
    this.#parts = parts;
  }

  /**
   * The recipe of a blob, at its place of kind `recipe`, or the page of one, at its place of kind `bytes`; `wholeBytes` of the blob come
   * of it. @throws {Fault} BLOB_UNKNOWN, BLOB_CORRUPT, PROTOCOL_UNSUPPORTED, STORE_UNAVAILABLE
   */
  async read(reach: Reach, digest: Digest, place: BlobPlace, wholeBytes: number, signal: AbortSignal): Promise<Recipe> {
    const key = `${place.frame.pack}/${place.frame.offset}/${place.offset}`;
    const kept = this.#kept.get(key);
    if (kept !== undefined) return decodeRecipe(digest, wholeBytes, kept);
    const check = (bytes: Uint8Array) => {
      const recipe = decodeRecipe(digest, wholeBytes, bytes);
      this.#kept.add(key, Uint8Array.from(bytes));
      return recipe;
    };
    return await this.#parts.read(reach, digest, place, check, signal);
  }

  /** The recipe of a large blob. @throws {Fault} as `read` */
  async ofBlob(reach: Reach, digest: Digest, place: BlobPlace, signal: AbortSignal): Promise<Recipe> {
    return await this.read(reach, digest, place, sizeOf(digest), signal);
  }
}

/** Whether reading a recipe failed because there is none that could be read here: gone, damaged, or of a newer version. */
export function isNoRecipe(error: unknown): boolean {
  return isFault(error, 'BLOB_UNKNOWN') || isFault(error, 'BLOB_CORRUPT') || isFault(error, 'PROTOCOL_UNSUPPORTED');
}
