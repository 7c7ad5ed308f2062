import { isFault, Fault } from '../../base/fault.ts';
import type { Digest } from '../digest.ts';
import type { BlobPlace } from '../store-index/store-index.ts';
import { verifyBytes } from '../verify.ts';
import type { PackContext } from './context.ts';
import type { FrameSource } from './frame-source.ts';
import type { Locator } from './locator.ts';

/** What a reader may see: scopes of a project, nearest first. */
export type Reach = { readonly project: string; readonly scopes: readonly string[] };

/**
 * Reads what lies at one place of a pack, checked. What turns out damaged or gone is forgotten by the index, so that it can be stored
 * again; damage is looked at twice, since it may have come on the way.
 */
export class StoredParts {
  readonly #context: PackContext;
  readonly #frames: FrameSource;
  readonly #locator: Locator;

  constructor(context: PackContext, frames: FrameSource, locator: Locator) {
    this.#context = context;
    this.#frames = frames;
    this.#locator = locator;
  }

  /** A blob that lies there whole. @throws {Fault} BLOB_UNKNOWN where its pack is gone; BLOB_CORRUPT, STORE_UNAVAILABLE */
  async bytes(reach: Reach, digest: Digest, place: BlobPlace, signal: AbortSignal): Promise<Uint8Array> {
    return await this.read(reach, digest, place, (bytes) => (verifyBytes(digest, bytes, 'BLOB_CORRUPT'), bytes), signal);
  }

  /**
   * What `check` makes of the bytes at the place of `digest`, be they the blob or its recipe; it throws BLOB_CORRUPT where they are not.
   * @throws {Fault} as `bytes`
   */
  async read<T>(
    reach: Reach,
    digest: Digest,
    { frame, offset, length }: BlobPlace,
    check: (bytes: Uint8Array) => T,
    signal: AbortSignal,
  ): Promise<T> {
    for (const fresh of [false, true]) {
      try {
        const raw = await this.#frames.frame(frame, { fresh }, signal);
        if (offset + length > raw.byteLength) throw new Fault('BLOB_CORRUPT', `Blob ${digest} lies beyond the end of its frame`);
        return check(raw.subarray(offset, offset + length));
      } catch (error) {
        if (isFault(error, 'OBJECT_UNKNOWN')) throw await this.#gone(reach, digest, frame.pack, error);
        if (!isFault(error, 'BLOB_CORRUPT')) throw error;
        if (fresh) throw await this.#corrupt(reach, digest, frame.pack, error);
      }
    }
    throw new Error('unreachable: the second round returns or throws');
  }

  /** Takes the row of `digest` in `pack` away, whichever scope of the reach has it. Never throws. */
  async forget({ project, scopes }: Reach, digest: Digest, pack: BlobPlace['frame']['pack']): Promise<void> {
    const { index, life, env } = this.#context;
    for (const scope of scopes) {
      await index
        .forget({ project, scope }, [{ digest, pack }], life)
        .catch((error: unknown) => env.log.warn('blob-not-forgotten', { digest, pack, error }));
    }
  }

  async #gone(reach: Reach, digest: Digest, pack: BlobPlace['frame']['pack'], cause: Fault): Promise<Fault> {
    const { counters, env } = this.#context;
    counters.packsGone += 1;
    this.#locator.packGone(pack);
    env.log.error('pack-gone', {
      pack,
      digest,
      project: reach.project,
      hint: 'The index knows this pack, and the store has no object of it.',
    });
    await this.forget(reach, digest, pack);
    return new Fault('BLOB_UNKNOWN', `Blob ${digest} is not in the store any more: its pack ${pack} is gone`, { cause });
  }

  async #corrupt(reach: Reach, digest: Digest, pack: BlobPlace['frame']['pack'], cause: Fault): Promise<Fault> {
    const { counters, env } = this.#context;
    counters.blobsCorrupt += 1;
    env.log.error('blob-corrupt', { pack, digest, project: reach.project, error: cause });
    await this.forget(reach, digest, pack);
    return new Fault('BLOB_CORRUPT', `Blob ${digest} is damaged in pack ${pack}: ${cause.message}`, { cause });
  }
}
