/*
 * Large buffers that are used again. Each new one costs far more than its bytes: memory outside the heap makes V8 collect all
 * of it every few dozen megabytes, which was half of the processor time of a large read.
 */

/** Bytes of each buffer, and so of the pieces in which large files are read. */
export const BUFFER_BYTES = 256 * 1024;

/** Buffers that wait to be used again, at most. */
const IDLE_MAX = 256;

const idle: Buffer[] = [];
/** By what was lent, the buffer that it is a part of. Who never gives back leaves it to the garbage collector. */
const lent = new WeakMap<Uint8Array, Buffer>();

/** A buffer of `BUFFER_BYTES` with anything in it. */
export function takeBuffer(): Buffer {
  return idle.pop() ?? Buffer.allocUnsafeSlow(BUFFER_BYTES);
}

/** The first `length` bytes of a buffer that was taken, for somebody who may give them back. */
export function lend(buffer: Buffer, length: number): Buffer {
  const bytes = buffer.subarray(0, length);
  lent.set(bytes, buffer);
  return bytes;
}

/**
 * Nobody looks at these bytes any more: where they were lent, their buffer is used again at once. For the last reader of a
 * store's chunk; of any other bytes nothing happens.
 */
export function giveBack(bytes: Uint8Array): void {
  const buffer = lent.get(bytes);
  if (buffer === undefined) return;
  lent.delete(bytes);
  if (idle.length < IDLE_MAX) idle.push(buffer);
}
