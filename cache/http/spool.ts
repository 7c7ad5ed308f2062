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
/** Bodies in memory, and in files, over all requests. Who comes later waits. */
const MEMORY_BYTES_MAX = 32 * 1024 * 1024;
const FILES_BYTES_MAX = 8 * 1024 * 1024 * 1024;
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
 * process ends. `bodyBytesMax`: what a body of unknown length is taken to be.
 */
export async function openSpool(dir: string, bodyBytesMax: number): Promise<Spool> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const memory = new ByteBudget(MEMORY_BYTES_MAX);
  const files = new ByteBudget(FILES_BYTES_MAX);
  return {
    async spool(body, signal) {
      await using stack = new AsyncDisposableStack();
      if (body.lengthBytes !== undefined && body.lengthBytes <= MEMORY_BYTES) {
        stack.use(await memory.take(body.lengthBytes, signal));
        const chunks: Uint8Array[] = [];
        for await (const chunk of body.chunks) chunks.push(chunk); // no more than was said
        const bytes = Buffer.concat(chunks);
        return held(stack.move(), digestOf(bytes), bytes);
      }
      stack.use(await files.take(body.lengthBytes ?? bodyBytesMax, signal));
      const file = stack.use(await unnamedFile(dir));
      const digest = await fill(file, body.chunks);
      return held(stack.move(), digest, { [Symbol.asyncIterator]: () => contentOf(file) });
    },
  };
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
