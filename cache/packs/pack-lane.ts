import type PQueue from 'p-queue';
import type { Prng } from '../../base/prng.ts';
import type { Digest } from '../digest.ts';
import type { Hold, PackName } from '../store-index/store-index.ts';
import type { PackContext } from './context.ts';
import { OpenPack, type Part } from './open-pack.ts';
import { commitPack, type PackMaker } from './pack-commit.ts';

/** What the packs of all lanes share. */
export type LaneShared = {
  readonly context: PackContext;
  /** Bounds the packs that are put at once. */
  readonly puts: PQueue;
  readonly holdOf: (isNew: boolean) => Promise<Hold>;
  readonly prng: Prng;
};

/** How much larger a pack can get than it should, where frames that are being compressed turn out not to compress. */
const WEIGHT_FACTOR = 3;

/**
 * The packs of one owner and producer, by group commit: what many callers store goes into one pack, which is closed when it is large
 * enough, when nothing more comes for a while, or after the longest time that a caller shall wait.
 */
export class PackLane {
  readonly #maker: PackMaker;
  readonly #shared: LaneShared;
  /** Packs that are not durable yet, by the digests in them. */
  readonly #pending = new Map<Digest, OpenPack>();
  readonly #unfinished = new Set<OpenPack>();
  #open: OpenPack | undefined;
  #idle: NodeJS.Timeout | undefined;
  #latest: NodeJS.Timeout | undefined;
  /** Since when somebody waits for the open pack, by the monotonic clock. */
  #awaitedAt: number | undefined;

  constructor(maker: PackMaker, shared: LaneShared) {
    this.#maker = maker;
    this.#shared = shared;
  }

  /** The pack that takes parts at the moment, if there is one. */
  get open(): OpenPack | undefined {
    return this.#open;
  }

  /** Whether nothing is under way. */
  get isIdle(): boolean {
    return this.#unfinished.size === 0;
  }

  /** The pack under way that holds the digest. */
  pending(digest: Digest): OpenPack | undefined {
    return this.#pending.get(digest);
  }

  /**
   * Puts the part into the open pack, whose `done` tells. `room` is given back when it is durable, or given up. `isAwaited`: somebody
   * waits for it; what is only a piece of more to come may wait longer for company.
   */
  add(part: Part, room: Disposable, isAwaited: boolean): OpenPack {
    const pack = this.#open ?? this.#begin();
    const { packBytes } = this.#shared.context.settings;
    const closeIfFull = () => {
      if (pack === this.#open && (pack.storedBytes >= packBytes || pack.weightBytes >= packBytes * WEIGHT_FACTOR || pack.isFull))
        this.close();
    };
    pack.add(part, room, closeIfFull);
    this.#pending.set(part.digest, pack);
    if (isAwaited) this.hurry(pack);
    closeIfFull();
    return pack;
  }

  /** Sends the open pack on its way without waiting for more. */
  close(): void {
    const pack = this.#open;
    if (pack === undefined) return;
    this.#open = undefined;
    clearTimeout(this.#idle);
    clearTimeout(this.#latest);
    this.#idle = undefined;
    const { clock } = this.#shared.context.env;
    const gatherMs = this.#awaitedAt === undefined ? 0 : clock.monotonic() - this.#awaitedAt;
    this.#awaitedAt = undefined;
    void this.#commit(pack, gatherMs);
  }

  /** Waits until everything that was added is durable or given up. Never rejects. */
  async drain(): Promise<void> {
    this.close();
    await Promise.allSettled([...this.#unfinished].map(({ done }) => done));
  }

  #begin(): OpenPack {
    const { level, pieceDelayMs } = this.#shared.context.settings;
    const pack = new OpenPack(level);
    this.#open = pack;
    this.#unfinished.add(pack);
    this.#latest = setTimeout(() => this.close(), pieceDelayMs);
    return pack;
  }

  /** Somebody waits for the pack: if it is still open, it leaves soon. */
  hurry(pack: OpenPack): void {
    if (pack !== this.#open) return;
    const { idleMs, maxDelayMs } = this.#shared.context.settings;
    if (this.#idle === undefined) {
      this.#awaitedAt = this.#shared.context.env.clock.monotonic();
      clearTimeout(this.#latest);
      this.#idle = setTimeout(() => this.close(), idleMs);
      this.#latest = setTimeout(() => this.close(), maxDelayMs);
    } else this.#idle.refresh();
  }

  async #commit(pack: OpenPack, gatherMs: number): Promise<void> {
    const { context, puts, holdOf, prng } = this.#shared;
    const closedAt = context.env.clock.monotonic();
    let outcome: { readonly error: unknown } | undefined;
    try {
      await puts.add(async (): Promise<PackName> => await commitPack(context, this.#maker, pack, holdOf, prng));
      context.measures.packStored(gatherMs, context.env.clock.monotonic() - closedAt);
    } catch (error) {
      outcome = { error };
      context.env.log.error('pack-given-up', { owner: this.#maker.owner, blobs: pack.rows.length, error });
    }
    for (const { digest } of pack.rows) if (this.#pending.get(digest) === pack) this.#pending.delete(digest);
    for (const room of pack.rooms) room[Symbol.dispose]();
    this.#unfinished.delete(pack);
    pack.settle(outcome);
  }
}
