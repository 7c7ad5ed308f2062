import { Fault } from '../../base/fault.ts';

/** How long an upload whose connection broke waits to be taken up again. */
const IDLE_MS = 60_000;
/** Broken uploads that wait at once; the oldest gives way. */
const WAITING_MAX = 256;

/**
 * One blob on its way into the store. The store reads it as a source; calls feed it, one after the other: when a call
 * breaks, the next one goes on where it stopped. What was fed counts as received once the store has taken it.
 */
export class Upload {
  /** Bytes that the store has taken: where a resumed write goes on. */
  receivedBytes = 0;
  /** Whether a call feeds it now. */
  busy = true;
  /** Settles when the store has the blob, or will not have it. */
  readonly stored: Promise<void>;
  #queued: { readonly chunk: Uint8Array; readonly taken: () => void } | undefined;
  #ended = false;
  #failure: { readonly error: unknown } | undefined;
  #wake: () => void = () => {};
  #settled = false;

  constructor(store: (source: AsyncIterable<Uint8Array>) => Promise<void>) {
    this.stored = store(this.#chunks()).finally(() => {
      this.#settled = true;
      this.#queued?.taken();
    });
    this.stored.catch(() => {}); // whoever feeds it awaits it; when nobody does any more, it was given up
  }

  /** Whether it has ended, well or not. */
  get settled(): boolean {
    return this.#settled;
  }

  /** Hands a chunk over; returns when the store wants the next one. The chunk must not change. */
  async feed(chunk: Uint8Array): Promise<void> {
    if (this.#settled) return;
    await new Promise<void>((taken) => {
      this.#queued = { chunk, taken };
      this.#wake();
    });
    if (!this.#settled) this.receivedBytes += chunk.byteLength;
  }

  /** All bytes were fed. */
  end(): void {
    this.#ended = true;
    this.#wake();
  }

  /** Nothing more comes: what was fed is forgotten. */
  fail(error: unknown): void {
    this.#failure ??= { error };
    this.#wake();
  }

  async *#chunks(): AsyncGenerator<Uint8Array, void, undefined> {
    for (;;) {
      const queued = this.#queued;
      if (queued !== undefined) {
        yield queued.chunk;
        this.#queued = undefined;
        queued.taken();
      } else if (this.#failure !== undefined) throw this.#failure.error;
      else if (this.#ended) return;
      else await new Promise<void>((wake) => (this.#wake = wake));
    }
  }
}

/** The uploads of a server by caller, upload id and blob: callers may use one id for many blobs. */
export class Uploads implements Disposable {
  readonly #uploads = new Map<string, Upload>();
  readonly #timers = new Map<string, NodeJS.Timeout>();

  /** The upload that waits under `key`, now fed by the caller of this; undefined where there is none or another call feeds it. */
  resume(key: string): Upload | undefined {
    const upload = this.#uploads.get(key);
    if (upload === undefined || upload.busy || upload.settled) return undefined;
    clearTimeout(this.#timers.get(key));
    upload.busy = true;
    return upload;
  }

  /** A new upload under `key`. One that waits there is given up; beside one that another call feeds it is known to its caller only. */
  open(key: string, store: (source: AsyncIterable<Uint8Array>) => Promise<void>): Upload {
    const there = this.#uploads.get(key);
    if (there !== undefined && !there.busy) this.#drop(key, there);
    const upload = new Upload(store);
    if (!this.#uploads.has(key)) this.#uploads.set(key, upload);
    return upload;
  }

  /** The call that fed it has broken: it waits for a while. Where it cannot be found again it is given up at once. */
  suspend(key: string, upload: Upload): void {
    if (this.#uploads.get(key) !== upload) {
      upload.fail(givenUp());
      return;
    }
    upload.busy = false;
    this.#timers.set(key, setTimeout(() => this.#drop(key, upload), IDLE_MS).unref());
    for (const [oldest] of this.#timers) {
      if (this.#timers.size <= WAITING_MAX) break;
      const waiting = this.#uploads.get(oldest);
      if (waiting !== undefined) this.#drop(oldest, waiting);
    }
  }

  /** It has ended. */
  close(key: string, upload: Upload): void {
    if (this.#uploads.get(key) === upload) this.#forget(key);
  }

  /** Bytes of an unfinished upload. */
  receivedBytes(key: string): number {
    return this.#uploads.get(key)?.receivedBytes ?? 0;
  }

  [Symbol.dispose](): void {
    for (const [key, upload] of this.#uploads) this.#drop(key, upload);
  }

  #drop(key: string, upload: Upload): void {
    this.#forget(key);
    upload.fail(givenUp());
  }

  #forget(key: string): void {
    clearTimeout(this.#timers.get(key));
    this.#timers.delete(key);
    this.#uploads.delete(key);
  }
}

function givenUp(): Fault {
  return new Fault('CANCELLED', 'The upload broke and was not taken up again');
}
