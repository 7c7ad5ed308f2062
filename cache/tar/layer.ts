import type { BlobStore } from '../blob-store.ts';
import type { Digest } from '../digest.ts';
import { blobReader } from '../read-blob.ts';
import { buildTree, type BlobSource, type BuiltTree } from '../tree/build.ts';
import { DirectoryReader } from '../tree/directory-reader.ts';
import { uploadTree } from '../tree/upload.ts';
import type { ImportedTar } from './import.ts';
import { TarTree } from './tar-tree.ts';
import { walkTree } from './walk.ts';

/**
 * The tree that layers of an OCI image make, the lowest first, read with `importTar({ layer: true })`: each takes away what it says, then
 * adds its own, as a file system does that lays them over each other. What a layer has takes the place of what is below it, whatever kind
 * that is: a directory of a layer is never laid into what a link below it leads to.
 * @throws {Fault} whatever the store throws.
 */
export async function stackLayers(
  layers: readonly Pick<ImportedTar, 'root' | 'whiteouts' | 'opaque'>[],
  store: BlobStore,
  signal: AbortSignal,
): Promise<BuiltTree> {
  const reader = new DirectoryReader(blobReader(store));
  const merged = new TarTree('replace');
  for (const { root, whiteouts, opaque } of layers) {
    for (const names of opaque) merged.clear(names);
    for (const names of whiteouts) merged.remove(names);
    await lay(root, merged, reader, signal);
  }
  const tree = buildTree(merged.entries());
  const blobs = new Map([...tree.encoded].map(([digest, bytes]): [Digest, BlobSource] => [digest, { kind: 'bytes', bytes }]));
  await uploadTree({ blobs }, store, signal);
  return tree;
}

async function lay(root: Digest, over: TarTree, reader: DirectoryReader, signal: AbortSignal): Promise<void> {
  for await (const step of walkTree(undefined, root, reader, signal)) {
    if (step.kind === 'removed') continue; // there is nothing that it is compared with
    const names = step.path.split('/');
    if (step.kind === 'directory') over.directory(names);
    else if (step.kind === 'file') over.leaf(names, { kind: 'file', digest: step.file.digest, executable: step.file.executable });
    else over.leaf(names, { kind: 'symlink', target: step.link.target });
  }
}
