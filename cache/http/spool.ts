import { createHash, randomUUID } from 'node:crypto';
import { mkdir, open, unlink, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { Fault } from '../../base/fault.ts';
import { reasonOf } from '../../base/thrown.ts';
import { ByteBudget } from '../byte-budget.ts';
import { digestFrom, digestOf, type Digest } from '../digest.ts';
import type { Body } from './exchange.ts';

/** Larger bodies, and those of unknown length, wait for their digest in a file. */
const MEMORY_BYTES = 256 * 1024;
/** Bytes of bodies in memory over all requests; where these are taken, small bodies go into files, too. */
const MEMORY_BYTES_MAX = 32 * 1024 * 1024;
/** Bytes of bodies in files over all requests, as they come: who says much and sends little keeps nobody out. */
const FILES_BYTES_MAX = 8 * 1024 * 1024 * 1024;
const RETRY_MS = 10_000;
const READ_BYTES = 1024 * 1024;

/** A body that is all there. The source can be read again from its start, until disposal. */
export interface Spooled extends AsyncDisposable {
  readonly digest: Digest;
  readonly source: AsyncIterable<Uint8Array> | Uint8Array;
}

/** Where bodies wait whose digest the client did not name: the store takes nothing without one. */
export interface Spool {
  /** The whole body, in memory where it is small. @throws {Fault} as `Body.chunks`; STORE_UNAVAILABLE where the disk fails */
  spool(body: Body, signal: AbortSignal): Promise<Spooled>;
}

/**
 * A spool with files in `dir`, which is made. They have no name once they are open, so that nothing is left of them however this
 * process ends.
 */
export async function openSpool(dir: string, { memoryBytes = MEMORY_BYTES_MAX, filesBytes = FILES_BYTES_MAX } = {}): Promise<Spool> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const memory = new ByteBudget(memoryBytes);
  const files = new ByteBudget(filesBytes);
  return {
    async spool({ lengthBytes, chunks }, signal) {
      await using stack = new AsyncDisposableStack();
      const room = lengthBytes !== undefined && lengthBytes <= MEMORY_BYTES ? memory.tryTake(lengthBytes) : undefined;
      if (room !== undefined) {
        stack.use(room);
        const parts: Uint8Array[] = [];
        for await (const part of chunks) parts.push(part); // no more than was said
        const bytes = Buffer.concat(parts);
        return held(stack.move(), digestOf(bytes), bytes);
      }
      const file = stack.use(await unnamedFile(dir));
      const digest = await fill(file, counted(files, chunks, stack));
      signal.throwIfAborted();
      return held(stack.move(), digest, { [Symbol.asyncIterator]: () => contentOf(file) });
    },
  };
}

/** The chunks, as long as there is room for them, which `stack` keeps. @throws {Fault} LIMIT_EXCEEDED */
async function* counted(
  budget: ByteBudget,
  chunks: AsyncIterable<Uint8Array>,
  stack: AsyncDisposableStack,
): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const chunk of chunks) {
    const room = budget.tryTake(chunk.byteLength);
    if (room === undefined) throw new Fault('LIMIT_EXCEEDED', 'Too many bodies are on their way at once', { retryAfterMs: RETRY_MS });
    stack.use(room);
    yield chunk;
  }
}

function held(stack: AsyncDisposableStack, digest: Digest, source: Spooled['source']): Spooled {
  return { digest, source, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

async function unnamedFile(dir: string): Promise<FileHandle> {
  const path = join(dir, `body-${randomUUID()}`);
  try {
    const file = await open(path, 'wx+', 0o600);
    await unlink(path);
    return file;
  } catch (error) {
    throw onDisk(error);
  }
}

async function fill(file: FileHandle, chunks: AsyncIterable<Uint8Array>): Promise<Digest> {
  const sum = createHash('sha256');
  let length = 0;
  for await (const chunk of chunks) {
    sum.update(chunk);
    for (let start = 0; start < chunk.byteLength;) {
      const { bytesWritten } = await file.write(chunk, start, chunk.byteLength - start, length + start).catch((error: unknown) => {
        throw onDisk(error);
      });
      start += bytesWritten;
    }
    length += chunk.byteLength;
  }
  const digest = digestFrom(sum.digest('hex'), length);
  if (digest === undefined) throw new Fault('TOO_LARGE', `A body of ${length} bytes has no digest`);
  return digest;
}

async function* contentOf(file: FileHandle): AsyncGenerator<Uint8Array, void, undefined> {
  for (let at = 0; ;) {
    const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(READ_BYTES), 0, READ_BYTES, at);
    if (bytesRead === 0) return;
    yield buffer.subarray(0, bytesRead);
    at += bytesRead;
  }
}

function onDisk(error: unknown): Fault {
  return new Fault('STORE_UNAVAILABLE', `The body could not be kept on disk: ${reasonOf(error)}`, {
    cause: error,
  });
}
