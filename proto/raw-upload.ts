import { NO_MESSAGE_OF_ITS_KIND, PREFIX_BYTES, RawCall, tooLarge, type Taken } from './raw-call.ts';
import type { Source } from './flow.ts';

/**
 * Puts a client's messages together from the pieces in which they come. It may hand out one message as several, or several as one, where
 * they mean the same. Each message is `begin`, any number of `part`, `end`.
 */
export interface Assembler<T> {
  /** @param sizeBytes of the message */
  begin(sizeBytes: number): void;
  /** Bytes of it, which are looked at no more after this. @throws {Error} where they are no such message; nothing is called after that */
  part(bytes: Buffer): void;
  /** It has all come. @throws {Error} as `part` */
  end(): void;
  /** The next message to be handed out. */
  take(): T | undefined;
  /** Whether `take` has one. */
  readonly isReady: boolean;
  /** Whether so much waits to be taken that the client should wait. */
  readonly isFull: boolean;
  /** Nobody takes anything any more. */
  drop(): void;
}

export type MakeAssembler = () => Assembler<unknown>;

/**
 * A call of many requests as its handler sees it, of which it reads what it needs. While nobody reads, nothing is taken from the
 * connection, and so the client may send no more than HTTP/2 lets it send ahead.
 */
export class RawUploadCall extends RawCall implements Source<unknown> {
  readonly #assembler: Assembler<unknown>;
  readonly #bytesMax: number;
  /** Of the prefix of the next message, while it comes. */
  readonly #prefix = Buffer.alloc(PREFIX_BYTES);
  #prefixBytes = 0;
  /** What is still to come of the message that is coming. */
  #left = 0;
  #isWanted = false;
  /** The client ended its side; it did not break off. */
  #hasEnded = false;

  constructor(taken: Taken, assembler: Assembler<unknown>) {
    super(taken);
    this.#assembler = assembler;
    this.#bytesMax = taken.bytesMax;
    const { stream } = taken;
    stream.on('data', (chunk: Buffer) => this.#receive(chunk));
    stream.pause(); // until somebody reads
    stream.on('end', () => {
      // Node ends a stream that was reset too, and has said `aborted` by then.
      if (this.isOver || stream.aborted || stream.destroyed) return;
      this.#hasEnded = true;
      this.#wake();
    });
    stream.on('aborted', () => this.emit('cancelled'));
    stream.on('close', () => assembler.drop());
  }

  get destroyed(): boolean {
    return this.stream.destroyed;
  }

  /** `end` follows once nothing more comes. */
  read(): unknown {
    const message = this.#assembler.take();
    if (message === undefined) {
      this.#isWanted = true;
      if (this.#hasEnded) this.emit('end');
    }
    if (!this.#assembler.isFull) this.stream.resume();
    return message ?? null;
  }

  override answer(message: unknown): void {
    super.answer(message);
    this.stream.resume(); // what is left is dropped, so that it takes no window from the connection's other streams
  }

  override end(status: Parameters<RawCall['end']>[0]): void {
    super.end(status);
    this.stream.resume();
  }

  #wake(): void {
    if (!this.#isWanted) return;
    this.#isWanted = false;
    this.emit('readable');
  }

  #receive(chunk: Buffer): void {
    if (this.isOver) return;
    try {
      for (let at = 0; at < chunk.byteLength;) at += this.#left > 0 ? this.#part(chunk, at) : this.#begin(chunk, at);
    } catch {
      this.end(NO_MESSAGE_OF_ITS_KIND);
      this.emit('cancelled');
    }
    if (this.#assembler.isReady) this.#wake();
    if (this.#assembler.isFull) this.stream.pause();
  }

  /** How many bytes of the chunk, from `at`, were the prefix. */
  #begin(chunk: Buffer, at: number): number {
    const count = Math.min(PREFIX_BYTES - this.#prefixBytes, chunk.byteLength - at);
    chunk.copy(this.#prefix, this.#prefixBytes, at, at + count);
    this.#prefixBytes += count;
    if (this.#prefixBytes < PREFIX_BYTES) return count;
    this.#prefixBytes = 0;
    const size = this.#prefix.readUInt32BE(1);
    if (size > this.#bytesMax) {
      this.cut(tooLarge(size, this.#bytesMax));
      this.emit('cancelled');
      return chunk.byteLength;
    }
    this.#left = size;
    this.#assembler.begin(size);
    if (size === 0) this.#assembler.end();
    return count;
  }

  #part(chunk: Buffer, at: number): number {
    const part = at === 0 && chunk.byteLength <= this.#left ? chunk : chunk.subarray(at, at + this.#left);
    this.#left -= part.byteLength;
    this.#assembler.part(part);
    if (this.#left === 0) this.#assembler.end();
    return part.byteLength;
  }
}
