import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { Fault } from '../../../base/fault.ts';
import type { BlobStore } from '../../../cache/blob-store.ts';
import { EMPTY_DIGEST, digestFrom, digestOf, sizeOf, type Digest } from '../../../cache/digest.ts';

const PIECE = Buffer.alloc(1024 * 1024);

/** Blobs as files of a directory, outside of the memory that is measured; and blobs of zeros only, which are nowhere. */
export function fileStore(dir: string, zeros: ReadonlySet<Digest> = new Set()): BlobStore {
  fs.mkdirSync(dir, { recursive: true });
  const at = (digest: Digest) => path.join(dir, digest);
  return {
    traits: { durability: 'process', shared: true },
    async *get(digest) {
      if (digest === EMPTY_DIGEST) return;
      if (zeros.has(digest)) yield* zeroBytes(sizeOf(digest));
      else if (fs.existsSync(at(digest))) yield fs.readFileSync(at(digest));
      else throw new Fault('BLOB_UNKNOWN', `Blob ${digest} is not in the store`);
    },
    async put(digest, source) {
      if (zeros.has(digest)) return;
      if (source instanceof Uint8Array) return fs.writeFileSync(at(digest), source);
      const parts: Uint8Array[] = [];
      for await (const part of source) parts.push(part);
      fs.writeFileSync(at(digest), Buffer.concat(parts));
    },
    findMissing: async (digests) => digests.filter((digest) => !zeros.has(digest) && !fs.existsSync(at(digest))),
  };
}

async function* zeroBytes(size: number): AsyncGenerator<Uint8Array> {
  for (let left = size; left > 0; left -= PIECE.byteLength) yield PIECE.subarray(0, Math.min(left, PIECE.byteLength));
}

/** The digest of that many zeros. */
export function digestOfZeros(size: number): Digest {
  const sum = createHash('sha256');
  for (let left = size; left > 0; left -= PIECE.byteLength) sum.update(PIECE.subarray(0, Math.min(left, PIECE.byteLength)));
  return digestFrom(sum.digest('hex'), size) ?? digestOf(new Uint8Array(0));
}
