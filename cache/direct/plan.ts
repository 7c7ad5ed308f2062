import type { Digest } from '../digest.ts';
import { FRAME_MAX_BYTES } from '../packs/format.ts';
import type { BlobInFrame, FrameIn } from '../packs/frame.ts';

/** A frame to fetch. `pack` names its object in messages: a URL is as good as a password while it works. */
export type FrameToRead = { readonly frame: FrameIn; readonly url: string; readonly blobs: readonly BlobInFrame[] };

/** Where blobs are to be had without the data plane. */
export type DirectPlan = {
  readonly frames: readonly FrameToRead[];
  /** Of each large blob the pieces, in order; they are among the blobs of the frames. */
  readonly large: ReadonlyMap<Digest, readonly Digest[]>;
  /** By the monotonic clock: from then on the URLs may have ended. */
  readonly worksUntil: number;
};

/**
 * Asks where the blobs are; undefined where that cannot be had now, for whatever reason. What the plan leaves out is read otherwise.
 * @throws the reason of `signal` only
 */
export type PlanReads = (digests: readonly Digest[], signal: AbortSignal) => Promise<DirectPlan | undefined>;

/** Whether a frame is of a size that frames have: more is never asked for. */
export function isReadable({ frame }: FrameToRead): boolean {
  return frame.storedBytes > 0 && frame.storedBytes <= FRAME_MAX_BYTES && frame.rawBytes <= FRAME_MAX_BYTES;
}

/** Frames of a large blob are read in the order of its pieces; those that its pieces come back to are read again. */
const AGAIN_FACTOR = 1.5;
const AGAIN_BYTES = 8 * 1024 * 1024;

/**
 * What to read for a large blob, piece after piece, or undefined where the plan does not say where all of them are, or the same frames
 * would be fetched too often.
 */
export function inOrderOfPieces(plan: DirectPlan, digest: Digest, sizeBytes: number): readonly FrameToRead[] | undefined {
  const pieces = plan.large.get(digest);
  if (pieces === undefined) return undefined;
  const places = new Map<Digest, { readonly at: FrameToRead; readonly blob: BlobInFrame }>();
  for (const at of plan.frames) if (isReadable(at)) for (const blob of at.blobs) places.set(blob.digest, { at, blob });
  const runs: { readonly at: FrameToRead; readonly blobs: BlobInFrame[] }[] = [];
  let storedBytes = 0;
  for (const piece of pieces) {
    const place = places.get(piece);
    if (place === undefined) return undefined;
    const last = runs.at(-1);
    if (last?.at === place.at) last.blobs.push(place.blob);
    else {
      runs.push({ at: place.at, blobs: [place.blob] });
      storedBytes += place.at.frame.storedBytes;
    }
  }
  if (storedBytes > sizeBytes * AGAIN_FACTOR + AGAIN_BYTES) return undefined;
  return runs.map(({ at: { frame, url }, blobs }) => ({ frame, url, blobs }));
}
