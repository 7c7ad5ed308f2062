import { forEachWithin } from '../byte-budget.ts';
import { EMPTY_DIGEST, type Digest } from '../digest.ts';
import type { BlobPlace, Hold, PackName } from '../store-index/store-index.ts';
import type { Locator } from './locator.ts';
import { isNoRecipe, type Recipes } from './recipes.ts';
import type { Reach, StoredParts } from './stored-part.ts';

/** Recipes looked at in one go. */
const RECIPES_AT_ONCE = 16;

/** Which packs hold some blobs, their pieces included. */
export type Packs = { readonly packs: ReadonlySet<PackName>; readonly missing: readonly Digest[] };

/**
 * Says of blobs whether they are there as a whole: a large one is where its recipe and every piece are. Looking counts as using all of
 * them.
 */
export class Presence {
  readonly #locator: Locator;
  readonly #recipes: Recipes;
  readonly #parts: StoredParts;

  constructor(locator: Locator, recipes: Recipes, parts: StoredParts) {
    this.#locator = locator;
    this.#recipes = recipes;
    this.#parts = parts;
  }

  /** @throws {Fault} STORE_UNAVAILABLE */
  async missing(reach: Reach, digests: readonly Digest[], signal: AbortSignal): Promise<readonly Digest[]> {
    const asked = [...new Set(digests)].filter((digest) => digest !== EMPTY_DIGEST);
    if (asked.length === 0) return [];
    const locate = (wanted: readonly Digest[]) => this.#locator.locate(reach.project, reach.scopes, wanted, signal);
    return await this.#walk(reach, asked, locate, () => {}, signal);
  }

  /** Every pack that the blobs need, held from the same step on in which it was found. @throws {Fault} STORE_UNAVAILABLE, HOLD_LOST */
  async packs(reach: Reach, digests: readonly Digest[], hold: Hold | undefined, signal: AbortSignal): Promise<Packs> {
    const packs = new Set<PackName>();
    const asked = [...new Set(digests)].filter((digest) => digest !== EMPTY_DIGEST);
    const locate = (wanted: readonly Digest[]) => this.#locator.locateHeld(reach.project, reach.scopes, wanted, hold, signal);
    const missing = await this.#walk(reach, asked, locate, ({ frame }) => packs.add(frame.pack), signal);
    return { packs, missing };
  }

  async #walk(
    reach: Reach,
    asked: readonly Digest[],
    locate: (wanted: readonly Digest[]) => Promise<ReadonlyMap<Digest, BlobPlace>>,
    onPlace: (place: BlobPlace) => void,
    signal: AbortSignal,
  ): Promise<readonly Digest[]> {
    const found = await locate(asked);
    const missing = new Set<Digest>();
    const large: { readonly digest: Digest; readonly place: BlobPlace }[] = [];
    for (const digest of asked) {
      const place = found.get(digest);
      if (place === undefined) missing.add(digest);
      else {
        onPlace(place);
        if (place.kind === 'recipe') large.push({ digest, place });
      }
    }
    await forEachWithin(
      large,
      RECIPES_AT_ONCE,
      () => 1,
      async ({ digest, place }, either) => {
        if (await this.#isWhole(reach, digest, place, locate, onPlace, either)) return;
        missing.add(digest);
        // Else what is stored again would not take its place.
        await this.#parts.forget(reach, digest, place.frame.pack);
      },
      signal,
    );
    return asked.filter((digest) => missing.has(digest));
  }

  async #isWhole(
    reach: Reach,
    digest: Digest,
    place: BlobPlace,
    locate: (wanted: readonly Digest[]) => Promise<ReadonlyMap<Digest, BlobPlace>>,
    onPlace: (place: BlobPlace) => void,
    signal: AbortSignal,
  ): Promise<boolean> {
    const locateAll = async (wanted: readonly Digest[]) => {
      const found = await locate(wanted);
      const places = wanted.map((part) => found.get(part));
      for (const at of places) if (at !== undefined) onPlace(at);
      return places;
    };
    try {
      const recipe = await this.#recipes.ofBlob(reach, digest, place, signal);
      if (recipe.kind === 'parts') return (await locateAll(recipe.parts)).every((at) => at !== undefined);
      const pages = await locateAll(recipe.pages.map((page) => page.digest));
      for (const [index, { digest: page, coversBytes }] of recipe.pages.entries()) {
        const at = pages[index];
        if (at === undefined) return false;
        const part = await this.#recipes.read(reach, page, at, coversBytes, signal);
        if (part.kind !== 'parts' || (await locateAll(part.parts)).includes(undefined)) return false;
      }
      return true;
    } catch (error) {
      if (isNoRecipe(error)) return false;
      throw error;
    }
  }
}
