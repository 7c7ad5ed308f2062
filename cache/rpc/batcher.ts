/** How items become batches. */
export type BatchLimits = {
  /** Most bytes of a batch, unless one item alone is larger. */
  readonly bytes: number;
  readonly count: number;
  /** Batches under way at once. While there are as many, items gather into larger batches. */
  readonly inFlight: number;
};

type Waiting<R> = { readonly resolve: (result: R) => void; readonly reject: (error: unknown) => void };
type Entry<T, R> = { readonly key: string; readonly item: T; readonly bytes: number; readonly waiting: Waiting<R>[] };

/**
 * Makes few large calls of many small ones. Nothing waits for a timer: a batch leaves at the end of the turn in which its
 * first item came, or when one before it has ended. Equal keys that wait together are sent once.
 */
export class Batcher<T, R> {
  readonly #limits: BatchLimits;
  readonly #send: (items: readonly T[]) => Promise<readonly PromiseSettledResult<R>[]>;
  readonly #queue = new Map<string, Entry<T, R>>();
  #inFlight = 0;
  #scheduled = false;

  /** `send` answers for each item in order, or rejects for all of them. */
  constructor(limits: BatchLimits, send: (items: readonly T[]) => Promise<readonly PromiseSettledResult<R>[]>) {
    this.#limits = limits;
    this.#send = send;
  }

  /** The item's own result. When `signal` aborts, the caller stops waiting; others for the same key do not. */
  add(key: string, item: T, bytes: number, signal: AbortSignal): Promise<R> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) {
        reject(signal.reason);
        return;
      }
      const abort = () => reject(signal.reason);
      signal.addEventListener('abort', abort, { once: true });
      const done = () => signal.removeEventListener('abort', abort);
      const waiting: Waiting<R> = {
        resolve: (result) => {
          done();
          resolve(result);
        },
        reject: (error) => {
          done();
          reject(error);
        },
      };
      const queued = this.#queue.get(key);
      if (queued !== undefined) queued.waiting.push(waiting);
      else this.#queue.set(key, { key, item, bytes, waiting: [waiting] });
      this.#schedule();
    });
  }

  #schedule(): void {
    if (this.#scheduled || this.#inFlight >= this.#limits.inFlight || this.#queue.size === 0) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      while (this.#queue.size > 0 && this.#inFlight < this.#limits.inFlight) this.#flush();
    });
  }

  #flush(): void {
    const batch: Entry<T, R>[] = [];
    let bytes = 0;
    for (const entry of this.#queue.values()) {
      if (batch.length > 0 && (bytes + entry.bytes > this.#limits.bytes || batch.length >= this.#limits.count)) break;
      batch.push(entry);
      bytes += entry.bytes;
      this.#queue.delete(entry.key);
    }
    this.#inFlight += 1;
    this.#send(batch.map(({ item }) => item))
      .then(
        (results) => {
          for (const [index, { waiting }] of batch.entries()) {
            const result = results[index];
            for (const one of waiting) {
              if (result?.status === 'fulfilled') one.resolve(result.value);
              else one.reject(result?.reason);
            }
          }
        },
        (error: unknown) => {
          for (const { waiting } of batch) for (const one of waiting) one.reject(error);
        },
      )
      .finally(() => {
        this.#inFlight -= 1;
        this.#schedule();
      });
  }
}
