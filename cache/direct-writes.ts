import PQueue from 'p-queue';
import type { Env } from '../base/env.ts';
import { Fault } from '../base/fault.ts';
import { EMPTY_DIGEST } from './digest.ts';
import type { ObjectStore } from './objects/object-store.ts';
import { packOf, TRAILER_BYTES } from './packs/format.ts';
import { newPackName, packKey, parsePackName, uploadKey } from './packs/names.ts';
import type { PackMaker } from './packs/pack-commit.ts';
import { checkUploaded, UPLOAD_BYTES_MAX, type AwaitedPack } from './packs/uploaded-pack.ts';
import type { PackName, StoreIndex } from './store-index/store-index.ts';
import type { StoreOf, StoreView } from './store-view.ts';

/** The attempt that uploads: its lease, for how long that lasts, and whether it has ended since. */
export type UploadingAttempt = { readonly id: string; readonly ttlMs: number; readonly isOpen: () => boolean };

/** Where to put a pack: a URL for exactly these bytes, once, with headers that must go along. */
export type PlannedUpload = {
  readonly upload: PackName;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly urlTtlMs: number;
};

/** Packs that attempts make and put into the bucket themselves. Nothing of one is seen before it was looked at here. */
export interface DirectWrites {
  /** What a pack of the view must say of itself. @throws {Fault} UNIMPLEMENTED where the bucket cannot do this; FORBIDDEN; STORE_FULL */
  begin(view: StoreView, signal: AbortSignal): Promise<PackMaker & { readonly writtenAt: number }>;
  /** A place for a pack. No URL outlives the lease. @throws {Fault} as `begin`; BAD_REQUEST; LIMIT_EXCEEDED where too many wait */
  plan(
    view: StoreView,
    attempt: UploadingAttempt,
    content: { readonly lengthBytes: number; readonly sha256Hex: string },
    signal: AbortSignal,
  ): Promise<PlannedUpload>;
  /**
   * Makes the pack's blobs visible in the view's own scope, after each of them was read and hashed; or none of them.
   * @throws {Fault} FORBIDDEN for what was not planned for this attempt, was committed before, or is another's; DIGEST_MISMATCH;
   * OBJECT_UNKNOWN; STORE_UNAVAILABLE
   */
  commit(view: StoreView, attempt: UploadingAttempt, upload: string, signal: AbortSignal): Promise<void>;
}

export type DirectWritesOptions = {
  readonly objects: ObjectStore;
  readonly index: StoreIndex;
  /** Says who may not store more. */
  readonly storeOf: StoreOf;
  readonly env: Env;
};

/** Packs looked at at once: each takes some MiB of memory, and a core. */
const CHECKED_AT_ONCE = 4;
/** How long a removal may take that nobody waits for in earnest. */
const REMOVE_MS = 10_000;

export function directWrites({ objects, index, storeOf, env }: DirectWritesOptions): DirectWrites {
  const awaited = new AwaitedUploads(env);
  const checks = new PQueue({ concurrency: CHECKED_AT_ONCE });
  const makerOf = async ({ project, writes: scope, producer }: StoreView, signal: AbortSignal): Promise<PackMaker> => {
    // What was looked at must not change after: without conditions a URL puts again and again.
    if (!objects.traits.presigned || !objects.traits.conditionalPut)
      throw new Fault('UNIMPLEMENTED', 'This bucket takes no packs from agents: store by ByteStream');
    if (scope === undefined) throw new Fault('FORBIDDEN', `Nothing may be stored in ${project} with these rights`);
    const view = { project, reads: [], writes: scope, producer };
    await storeOf(view).put(EMPTY_DIGEST, new Uint8Array(0), signal); // refused where nothing else would be taken either
    return { owner: { project, scope }, producer };
  };
  return {
    async begin(view, signal) {
      return { ...(await makerOf(view, signal)), writtenAt: await index.now(signal) };
    },
    async plan(view, attempt, { lengthBytes, sha256Hex }, signal) {
      if (lengthBytes <= TRAILER_BYTES || lengthBytes > UPLOAD_BYTES_MAX)
        throw new Fault('BAD_REQUEST', `A pack has ${TRAILER_BYTES + 1} to ${UPLOAD_BYTES_MAX} bytes, not ${lengthBytes}`, {
          field: 'size_bytes',
        });
      const maker = await makerOf(view, signal);
      const upload = newPackName();
      const urlTtlMs = Math.floor(attempt.ttlMs / 1_000) * 1_000;
      const place = objects.presignPut(uploadKey(upload), { lengthBytes, sha256Hex }, urlTtlMs);
      awaited.add(attempt, { name: upload, maker, sizeBytes: lengthBytes });
      return { upload, ...place, urlTtlMs };
    },
    async commit(view, attempt, text, signal) {
      const pack = awaited.take(attempt, text);
      const { maker } = pack;
      if (maker.owner.project !== view.project || maker.owner.scope !== view.writes || maker.producer !== view.producer)
        throw unknownUpload(text);
      try {
        await checks.add(() => takeOver(pack, attempt, signal), { signal });
      } catch (error) {
        env.log.warn('upload-refused', { upload: pack.name, ...maker.owner, producer: maker.producer, error });
        throw error;
      } finally {
        // Else garbage collection does.
        await objects.delete(uploadKey(pack.name), AbortSignal.timeout(REMOVE_MS)).catch(() => {});
      }
    },
  };

  async function takeOver(pack: AwaitedPack, attempt: UploadingAttempt, signal: AbortSignal): Promise<void> {
    const footer = await checkUploaded(objects, pack, signal);
    refuseEnded(attempt);
    const begunAt = await index.now(signal);
    const name = newPackName();
    // To a name for which nobody ever had a URL; one that is not added below is an orphan like those of our own.
    await objects.copy(uploadKey(pack.name), packKey(name), signal);
    const { epoch } = await index.epoch(signal);
    refuseEnded(attempt);
    const hold = { id: `attempt ${attempt.id}`, ttlMs: attempt.ttlMs, epoch };
    await index.addPack(packOf(name, pack.sizeBytes, footer, begunAt), hold, signal);
  }
}

function refuseEnded({ isOpen }: UploadingAttempt): void {
  if (!isOpen()) throw new Fault('FORBIDDEN', 'The attempt ended while it stored this');
}

function unknownUpload(text: string): Fault {
  return new Fault('FORBIDDEN', `The upload ${JSON.stringify(text.slice(0, 64))} is not one that this attempt may commit now`, {
    hint: 'It was planned by another data plane or attempt, was committed before, or took too long: store by ByteStream.',
  });
}

/** How long a planned upload may take; no lease is granted for longer. */
const AWAITED_MS = 15 * 60_000;
/** Of one attempt, and of all. */
const AWAITED_MAX = 16;
const AWAITED_ALL_MAX = 10_000;

/** Uploads that were planned here and not committed: forgotten with the process, as their agents then store by ByteStream. */
class AwaitedUploads {
  readonly #clock: Env['clock'];
  /** By name, oldest first. */
  readonly #packs = new Map<PackName, { readonly pack: AwaitedPack; readonly attempt: string; readonly until: number }>();

  constructor({ clock }: Env) {
    this.#clock = clock;
  }

  /** @throws {Fault} LIMIT_EXCEEDED */
  add({ id }: UploadingAttempt, pack: AwaitedPack): void {
    const now = this.#clock.monotonic();
    let own = 0;
    for (const [name, { attempt, until }] of this.#packs) {
      if (until <= now) this.#packs.delete(name);
      else if (attempt === id) own += 1;
    }
    if (own >= AWAITED_MAX || this.#packs.size >= AWAITED_ALL_MAX)
      throw new Fault('LIMIT_EXCEEDED', `${own} uploads of this attempt were planned and not committed: commit them first`);
    this.#packs.set(pack.name, { pack, attempt: id, until: now + AWAITED_MS });
  }

  /** The upload, which nobody can take again. @throws {Fault} FORBIDDEN */
  take({ id }: UploadingAttempt, text: string): AwaitedPack {
    const name = parsePackName(text);
    const found = name === undefined ? undefined : this.#packs.get(name);
    if (name === undefined || found?.attempt !== id || found.until <= this.#clock.monotonic()) throw unknownUpload(text);
    this.#packs.delete(name);
    return found.pack;
  }
}
