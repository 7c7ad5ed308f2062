import { Fault } from '../../base/fault.ts';
import { EMPTY_DIGEST, digestOf, type Digest } from '../digest.ts';
import { WireReader } from '../wire/wire.ts';
import { readDigest } from '../wire/digest.ts';
import { logBeside } from './action-result.ts';
import { decodeTree } from './tree-message.ts';

/** The blobs that an ActionResult names itself. What its trees name comes from `referencesOfTree`. */
export type References = {
  /** Files, standard output and error, the log. */
  readonly files: readonly Digest[];
  /** Trees, and whether their directories are promised as blobs too. */
  readonly trees: readonly { readonly tree: Digest; readonly root: Digest | undefined }[];
};

/** What an ActionResult refers to. @throws {Fault} BAD_REQUEST naming the field, where it is malformed. */
export function referencesOf(result: Uint8Array): References {
  const files: Digest[] = [];
  const trees: { tree: Digest; root: Digest | undefined }[] = [];
  const reader = new WireReader(result, 'ActionResult');
  while (reader.next()) {
    if (reader.field === 2) files.push(requireDigest(fieldDigest(reader.bytes(), 2, 'output_files.digest'), 'output_files.digest'));
    else if (reader.field === 3) {
      const bytes = reader.bytes();
      const tree = fieldDigest(bytes, 3, 'output_directories.tree_digest');
      const root = fieldDigest(bytes, 5, 'output_directories.root_directory_digest');
      if (tree === undefined && root === undefined) throw missing('output_directories.tree_digest');
      trees.push({ tree: tree ?? EMPTY_DIGEST, root });
    } else if (reader.field === 6) files.push(readDigest(reader.bytes(), 'stdout_digest'));
    else if (reader.field === 8) files.push(readDigest(reader.bytes(), 'stderr_digest'));
    else if (reader.field === 9) {
      const log = logBeside(reader.bytes());
      if (log !== undefined) files.push(log);
    }
  }
  return { files, trees };
}

/** Every file in a Tree, and every directory where `withDirectories`. @throws {Fault} BAD_REQUEST where it is no Tree. */
export function referencesOfTree(tree: Uint8Array, withDirectories: boolean): Set<Digest> {
  const found = new Set<Digest>();
  for (const directory of decodeTree(tree)) {
    if (withDirectories) found.add(digestOf(directory));
    const reader = new WireReader(directory, 'Directory');
    while (reader.next()) {
      if (reader.field !== 1) continue;
      found.add(requireDigest(fieldDigest(reader.bytes(), 2, 'files.digest'), 'files.digest'));
    }
  }
  return found;
}

function fieldDigest(message: Uint8Array, field: number, what: string): Digest | undefined {
  const reader = new WireReader(message, what);
  let digest: Digest | undefined;
  while (reader.next()) if (reader.field === field) digest = readDigest(reader.bytes(), what);
  return digest;
}

function requireDigest(digest: Digest | undefined, what: string): Digest {
  if (digest === undefined) throw missing(what);
  return digest;
}

function missing(what: string): Fault {
  return new Fault('BAD_REQUEST', `${what} is missing`, { field: `action_result.${what}` });
}
