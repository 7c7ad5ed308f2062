import type { ReadBlob } from '../blob-store.ts';
import { EMPTY_DIGEST, digestOf, sizeOf, type Digest } from '../digest.ts';
import { decodeDirectory } from '../tree/directory.ts';
import { WireWriter } from '../wire/wire.ts';

/** A tree as one REAPI Tree message, with what its files take: one that is there twice counts twice. */
export type WholeTree = {
  readonly tree: Digest;
  readonly message: Uint8Array;
  readonly bytes: number;
  /** Everything that a store needs for it, but the message: directories and files. */
  readonly blobs: ReadonlySet<Digest>;
};

type Known = { readonly encoded: Uint8Array; readonly children: readonly Digest[]; readonly bytes: number };

/** Reads all directories of a tree, each once. Memory goes with their encoded size, as the message does. */
export async function wholeTree(root: Digest, read: ReadBlob, signal: AbortSignal): Promise<WholeTree> {
  const known = new Map<Digest, Known>();
  const sums = new Map<Digest, number>();
  const order: Digest[] = [];
  const blobs = new Set<Digest>();
  const waiting: Digest[] = [root];
  for (let digest = waiting.at(-1); digest !== undefined; digest = waiting.at(-1)) {
    if (sums.has(digest)) {
      waiting.pop();
      continue;
    }
    const here = known.get(digest) ?? (await look(digest, read, blobs, signal));
    known.set(digest, here);
    const open = here.children.filter((child) => !sums.has(child));
    if (open.length > 0) {
      waiting.push(...open);
      continue;
    }
    sums.set(
      digest,
      here.children.reduce((sum, child) => sum + (sums.get(child) ?? 0), here.bytes),
    );
    order.push(digest);
    waiting.pop();
  }
  const writer = new WireWriter(4_096);
  // Every directory came after those that it holds: turned round, the root is first and each is before those.
  for (const [index, digest] of order.toReversed().entries())
    writer.bytes(index === 0 ? 1 : 2, known.get(digest)?.encoded ?? new Uint8Array(0), true);
  const message = writer.finish();
  return { tree: digestOf(message), message, bytes: sums.get(root) ?? 0, blobs };
}

async function look(digest: Digest, read: ReadBlob, blobs: Set<Digest>, signal: AbortSignal): Promise<Known> {
  const encoded = digest === EMPTY_DIGEST ? new Uint8Array(0) : await read(digest, signal);
  const directory = decodeDirectory(encoded);
  blobs.add(digest);
  for (const file of directory.files) blobs.add(file.digest);
  return {
    encoded,
    children: directory.directories.map((child) => child.digest),
    bytes: directory.files.reduce((sum, file) => sum + sizeOf(file.digest), 0),
  };
}
