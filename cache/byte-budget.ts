import { setImmediate as nextTurn } from 'node:timers/promises';

/**
 * Bounds bytes in flight rather than calls in flight: one large thing or many small ones at a time. First come, first
 * served; what is larger than the whole budget is let in alone.
 */
export class ByteBudget {
  readonly #limitBytes: number;
  readonly #waiting: { readonly bytes: number; readonly start: () => void }[] = [];
  #usedBytes = 0;

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  /** Waits until `bytes` fit, and keeps them taken until what it returns is disposed of. Rejects when `signal` aborts. */
  async take(bytes: number, signal: AbortSignal): Promise<Disposable> {
    signal.throwIfAborted();
    const want = Math.min(bytes, this.#limitBytes);
    const taken = this.tryTake(want);
    if (taken !== undefined) return taken;
    await this.#wait(want, signal);
    return this.#taken(want);
  }

  /** As `take`, where `bytes` fit now and nobody waits; undefined otherwise. */
  tryTake(bytes: number): Disposable | undefined {
    if (this.#waiting.length > 0 || this.#usedBytes + bytes > this.#limitBytes) return undefined;
    this.#usedBytes += bytes;
    return this.#taken(bytes);
  }

  #taken(want: number): Disposable {
    let given = false;
    return {
      [Symbol.dispose]: () => {
        if (given) return;
        given = true;
        this.#usedBytes -= want;
        this.#admit();
      },
    };
  }

  #wait(bytes: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const abort = () => {
        this.#waiting.splice(this.#waiting.indexOf(entry), 1);
        this.#admit(); // whoever stood behind it may fit
        reject(signal.reason);
      };
      const entry = {
        bytes,
        start: () => {
          signal.removeEventListener('abort', abort);
          resolve();
        },
      };
      this.#waiting.push(entry);
      signal.addEventListener('abort', abort, { once: true });
    });
  }

  #admit(): void {
    for (let next = this.#waiting[0]; next !== undefined && this.#usedBytes + next.bytes <= this.#limitBytes; next = this.#waiting[0]) {
      this.#waiting.shift();
      this.#usedBytes += next.bytes;
      next.start();
    }
  }
}

/** Takes of one's own budget, then of one that is shared: nobody holds what others want while waiting for room of his own. */
export async function takeOfBoth(own: ByteBudget, shared: ByteBudget | undefined, bytes: number, signal: AbortSignal): Promise<Disposable> {
  const room = await own.take(bytes, signal);
  if (shared === undefined) return room;
  try {
    const more = await shared.take(bytes, signal);
    return {
      [Symbol.dispose]() {
        more[Symbol.dispose]();
        room[Symbol.dispose]();
      },
    };
  } catch (error) {
    room[Symbol.dispose]();
    throw error;
  }
}

/** Items begun before other work of the process gets its turn: what is done with one may take no turn of its own. */
const TURN_ITEMS = 128;

/**
 * Runs `work` on each item, as many at once as their bytes allow; `costOf` says an item's. The first error stops the rest
 * and is thrown once everything under way has ended. `shared`: they have to fit into this budget of others too.
 */
export async function forEachWithin<T>(
  items: Iterable<T>,
  limitBytes: number,
  costOf: (item: T) => number,
  work: (item: T, signal: AbortSignal) => Promise<void>,
  signal: AbortSignal,
  shared?: ByteBudget,
): Promise<void> {
  const budget = new ByteBudget(limitBytes);
  const stop = new AbortController();
  const either = AbortSignal.any([signal, stop.signal]);
  const running = new Set<Promise<void>>();
  let failure: { readonly error: unknown } | undefined;
  const fail = (error: unknown) => {
    failure ??= { error };
    stop.abort(error);
  };
  const run = async (item: T, room: Disposable) => {
    using _ = room;
    await work(item, either);
  };
  const roomFor = (bytes: number) => takeOfBoth(budget, shared, bytes, either);
  let begun = 0;
  for (const item of items) {
    let room: Disposable;
    try {
      begun += 1;
      if (begun % TURN_ITEMS === 0) await nextTurn();
      room = await roomFor(costOf(item));
    } catch (error) {
      fail(error);
      break;
    }
    const task: Promise<void> = run(item, room)
      .catch(fail)
      .finally(() => running.delete(task));
    running.add(task);
  }
  await Promise.all(running);
  if (failure !== undefined) throw failure.error;
}
