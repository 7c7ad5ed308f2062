import { randomBytes } from 'node:crypto';
import { Fault, isFault } from '../../base/fault.ts';
import type { Hold, StoreIndex } from '../store-index/store-index.ts';
import type { PackContext } from './context.ts';

/** The index's epoch, asked for once and again when somebody finds that it has ended. */
export class EpochWatch {
  readonly #index: StoreIndex;
  readonly #life: AbortSignal;
  #epoch: Promise<string> | undefined;

  constructor(index: StoreIndex, life: AbortSignal) {
    this.#index = index;
    this.#life = life;
  }

  async current(isNew: boolean): Promise<string> {
    if (isNew) this.#epoch = undefined;
    this.#epoch ??= this.#index.epoch(this.#life).then(({ epoch }) => epoch);
    try {
      return await this.#epoch;
    } catch (error) {
      this.#epoch = undefined;
      throw error;
    }
  }
}

/** Holds for packs as they are stored: a new one now and then, each of which ends by itself `holdMs` after its last pack. */
export function rollingHold(context: PackContext, epochs: EpochWatch): (isNew: boolean) => Promise<Hold> {
  const { clock } = context.env;
  const { holdMs } = context.settings;
  let current: { readonly hold: Hold; readonly sinceMs: number } | undefined;
  return async (isNew) => {
    const epoch = await epochs.current(isNew);
    if (current === undefined || current.hold.epoch !== epoch || clock.monotonic() - current.sinceMs > holdMs / 2)
      current = { hold: { id: `w-${randomBytes(12).toString('hex')}`, ttlMs: holdMs, epoch }, sinceMs: clock.monotonic() };
    return current.hold;
  };
}

/**
 * The promise that what a large upload builds on (pieces found in older packs, and its own of before) stays until it is whole, however
 * long its source takes. Extended by itself.
 */
export class UploadHold implements AsyncDisposable {
  readonly #context: PackContext;
  readonly #hold: Hold;
  readonly #timer: NodeJS.Timeout;
  #used = false;
  #lost: unknown;
  #namedAtMs: number;

  private constructor(context: PackContext, hold: Hold) {
    this.#context = context;
    this.#hold = hold;
    this.#namedAtMs = context.env.clock.monotonic();
    this.#timer = setInterval(() => void this.#extend(), hold.ttlMs / 4).unref();
  }

  static async begin(context: PackContext, epochs: EpochWatch): Promise<UploadHold> {
    const epoch = await epochs.current(false);
    return new UploadHold(context, { id: `u-${randomBytes(12).toString('hex')}`, ttlMs: context.settings.holdMs, epoch });
  }

  /**
   * For a call that names the hold. @throws {Fault} STORE_UNAVAILABLE where the promise was broken: the upload must begin again.
   */
  name(): Hold {
    this.check();
    this.#used = true;
    this.#namedAtMs = this.#context.env.clock.monotonic();
    return this.#hold;
  }

  /** @throws {Fault} as `name` */
  check(): void {
    const silentMs = this.#context.env.clock.monotonic() - this.#namedAtMs;
    if (this.#lost === undefined && (!this.#used || silentMs < this.#hold.ttlMs)) return;
    throw new Fault('STORE_UNAVAILABLE', 'The parts of the upload that were stored may be gone: begin it again', { cause: this.#lost });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    if (!this.#used) return;
    await this.#context.index.release(this.#hold, this.#context.life).catch(() => {}); // it ends by itself
  }

  async #extend(): Promise<void> {
    if (!this.#used || this.#lost !== undefined) return;
    const at = this.#context.env.clock.monotonic();
    try {
      await this.#context.index.extend(this.#hold, this.#context.life);
      this.#namedAtMs = Math.max(this.#namedAtMs, at);
    } catch (error) {
      if (isFault(error, 'HOLD_LOST')) this.#lost = error;
    }
  }
}
