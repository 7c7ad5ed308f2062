import { Fault } from '../../base/fault.ts';
import { forEachWithin } from '../byte-budget.ts';
import { EMPTY_DIGEST, type Digest } from '../digest.ts';
import type { BlobPlace, Frame, Hold } from '../store-index/store-index.ts';
import type { PackContext } from './context.ts';
import type { Locator } from './locator.ts';
import { packKey } from './names.ts';
import { isNoRecipe, type Recipes } from './recipes.ts';
import type { Reach, StoredParts } from './stored-part.ts';

/** Digests looked up in one go: bounds memory, and is far more than a pack holds. */
const LOOK_COUNT = 16_384;

/** What became of a bulk read. */
export type BulkRead = {
  /** Blobs that are not there. */
  readonly missing: readonly Digest[];
  /** Blobs in pieces, to be read one by one as streams. */
  readonly large: readonly Digest[];
};

/** A blob, or the recipe of one, in a frame. */
export type PlannedBlob = { readonly digest: Digest; readonly kind: 'bytes' | 'recipe'; readonly offset: number; readonly length: number };

/** A frame to fetch: `storedBytes` from `offset` of what the URL of its pack gives. */
export type PlannedFrame = Omit<Frame, 'pack'> & { readonly blobs: readonly PlannedBlob[] };

/** Where to fetch blobs without us. URLs work for `urlTtlMs`; whoever fetches checks every blob by its digest. */
export type BulkPlan = {
  readonly packs: readonly { readonly url: string; readonly frames: readonly PlannedFrame[] }[];
  /** Of each large blob the pieces, in order; they are among the blobs of the frames. */
  readonly large: readonly { readonly digest: Digest; readonly parts: readonly Digest[] }[];
  readonly missing: readonly Digest[];
  readonly urlTtlMs: number;
};

export type BulkParts = {
  readonly context: PackContext;
  readonly locator: Locator;
  readonly recipes: Recipes;
  readonly parts: StoredParts;
};

/**
 * Reads many blobs, each frame once for all of its blobs, and hands them over in the order in which they lie. A blob's bytes are checked;
 * they are a view: copy what you keep. `onBlob` may be called for several at the same time.
 * @throws {Fault} BLOB_CORRUPT, STORE_UNAVAILABLE; what `onBlob` throws
 */
export async function readMany(
  { context, locator, parts }: BulkParts,
  reach: Reach,
  digests: readonly Digest[],
  onBlob: (digest: Digest, bytes: Uint8Array) => Promise<void> | void,
  signal: AbortSignal,
): Promise<BulkRead> {
  const missing: Digest[] = [];
  const large: Digest[] = [];
  const asked = [...new Set(digests)];
  for (let start = 0; start < asked.length; start += LOOK_COUNT) {
    const wanted = asked.slice(start, start + LOOK_COUNT);
    const found = await locator.locateHeld(reach.project, reach.scopes, wanted.filter(isNotEmpty), undefined, signal);
    const frames = new Map<string, { readonly frame: Frame; readonly blobs: { readonly digest: Digest; readonly place: BlobPlace }[] }>();
    for (const digest of wanted) {
      const place = found.get(digest);
      if (digest === EMPTY_DIGEST) await onBlob(digest, new Uint8Array(0));
      else if (place === undefined) missing.push(digest);
      else if (place.kind === 'recipe') large.push(digest);
      else group(frames, place.frame).blobs.push({ digest, place });
    }
    await forEachWithin(
      inOrder(frames.values()),
      context.settings.fetchBytes / 2,
      ({ frame }) => frame.rawBytes + frame.storedBytes,
      async ({ blobs }, either) => {
        // The first one fetches the frame; it is kept while the others are taken out of it.
        const read = blobs.map(async ({ digest, place }) => await onBlob(digest, await parts.bytes(reach, digest, place, either)));
        await Promise.all(read);
      },
      signal,
    );
  }
  return { missing, large };
}

/**
 * Where the blobs are, for somebody who fetches them without us. All packs are held by `hold`, and no URL outlives it.
 * @throws {Fault} HOLD_LOST where it is over before the plan is made; UNIMPLEMENTED where the store has no URLs; STORE_UNAVAILABLE
 */
export async function planBulk(
  { context, locator, recipes }: BulkParts,
  reach: Reach,
  digests: readonly Digest[],
  hold: Hold,
  signal: AbortSignal,
): Promise<BulkPlan> {
  const { clock } = context.env;
  const frames = new Map<string, { readonly frame: Frame; readonly blobs: PlannedBlob[] }>();
  const missing: Digest[] = [];
  const large: { readonly digest: Digest; readonly parts: readonly Digest[] }[] = [];
  const planned = new Set<Digest>();
  const startedAt = clock.monotonic();
  const locate = (wanted: readonly Digest[]) => locator.locateHeld(reach.project, reach.scopes, wanted, hold, signal);
  const take = (digest: Digest, { kind, frame, offset, length }: BlobPlace) => {
    if (planned.has(digest)) return;
    planned.add(digest);
    group(frames, frame).blobs.push({ digest, kind, offset, length });
  };
  const asked = [...new Set(digests)].filter(isNotEmpty);
  const found = await locate(asked);
  for (const digest of asked) {
    const place = found.get(digest);
    const pieces = place?.kind === 'recipe' ? await piecesOf(recipes, reach, digest, place, locate, signal) : [];
    const places = pieces === undefined ? undefined : await locate(pieces);
    if (place === undefined || pieces === undefined || pieces.some((piece) => places?.has(piece) !== true)) {
      missing.push(digest);
      continue;
    }
    if (place.kind === 'bytes') take(digest, place);
    else large.push({ digest, parts: pieces });
    for (const [piece, at] of places ?? []) take(piece, at);
  }
  // The hold was first named when `locate` was called: what has gone by since is not the URLs' any more.
  const urlTtlMs = Math.floor((hold.ttlMs - (clock.monotonic() - startedAt)) / 1_000) * 1_000;
  if (urlTtlMs < 1_000) throw new Fault('HOLD_LOST', `The hold of ${hold.ttlMs} ms is too short for URLs: they last whole seconds`);
  const packs = Map.groupBy(inOrder(frames.values()), ({ frame }) => frame.pack);
  return {
    packs: [...packs].map(([pack, of]) => ({
      url: context.objects.presignGet(packKey(pack), urlTtlMs),
      frames: of.map(({ frame: { offset, storedBytes, rawBytes, encoding }, blobs }) => ({
        offset,
        storedBytes,
        rawBytes,
        encoding,
        blobs,
      })),
    })),
    large,
    missing,
    urlTtlMs,
  };
}

/** The pieces of a large blob, or undefined where its recipe, or a page of it, is none that can be read here. */
async function piecesOf(...of: Parameters<typeof readPieces>): Promise<readonly Digest[] | undefined> {
  try {
    return await readPieces(...of);
  } catch (error) {
    if (isNoRecipe(error)) return undefined;
    throw error;
  }
}

async function readPieces(
  recipes: Recipes,
  reach: Reach,
  digest: Digest,
  place: BlobPlace,
  locate: (wanted: readonly Digest[]) => Promise<ReadonlyMap<Digest, BlobPlace>>,
  signal: AbortSignal,
): Promise<readonly Digest[] | undefined> {
  const recipe = await recipes.ofBlob(reach, digest, place, signal);
  if (recipe.kind === 'parts') return recipe.parts;
  const pages = await locate(recipe.pages.map((page) => page.digest));
  const pieces: Digest[] = [];
  for (const { digest: page, coversBytes } of recipe.pages) {
    const at = pages.get(page);
    if (at === undefined) return undefined;
    const part = await recipes.read(reach, page, at, coversBytes, signal);
    if (part.kind === 'parts') for (const piece of part.parts) pieces.push(piece);
  }
  return pieces;
}

function group<T>(frames: Map<string, { readonly frame: Frame; readonly blobs: T[] }>, frame: Frame) {
  const key = `${frame.pack}/${frame.offset}`;
  let at = frames.get(key);
  if (at === undefined) frames.set(key, (at = { frame, blobs: [] }));
  return at;
}

function inOrder<T extends { readonly frame: Frame }>(frames: Iterable<T>): readonly T[] {
  return [...frames].toSorted((a, b) =>
    a.frame.pack === b.frame.pack ? a.frame.offset - b.frame.offset : a.frame.pack < b.frame.pack ? -1 : 1,
  );
}

function isNotEmpty(digest: Digest): boolean {
  return digest !== EMPTY_DIGEST;
}
