import { Fault, isFault } from '../../../base/fault.ts';
import type { BlobStore } from '../../../cache/blob-store.ts';
import { EMPTY_DIGEST, type Digest } from '../../../cache/digest.ts';
import { blobReader } from '../../../cache/read-blob.ts';
import { optionalDigestFromProto } from '../../../proto/convert.ts';
import type { Action__Output } from '../../../proto/gen/build/bazel/remote/execution/v2/Action.ts';
import type { Command__Output } from '../../../proto/gen/build/bazel/remote/execution/v2/Command.ts';
import { loadProto } from '../../../proto/load.ts';
import { lookForTree, type TreePlace } from './input-tree.ts';

/** An action with all that it names, as the store has it. */
export type FoundAction = {
  readonly digest: Digest;
  readonly action: Action__Output;
  readonly command: Command__Output;
  readonly inputRoot: Digest;
  /** Bytes of all files of the inputs. */
  readonly inputBytes: number;
};

export type ActionLookup =
  | ({ readonly kind: 'found' } & FoundAction)
  /** Blobs that have to be stored first: all that can be told of. */
  | { readonly kind: 'missing'; readonly digests: readonly Digest[] };

/** Actions and commands are read as a whole; larger ones are none. */
const MESSAGE_BYTES_MAX = 4 * 1024 * 1024;

/**
 * Reads an action, its command and its input tree, and looks for every blob that a run needs.
 * @throws {Fault} BAD_REQUEST where one of the messages is none, or names nothing; TOO_LARGE, STORE_UNAVAILABLE
 */
export async function lookUpAction(place: TreePlace, digest: Digest, signal: AbortSignal): Promise<ActionLookup> {
  const codec = loadProto().build.bazel.remote.execution.v2;
  const action = await message(place.store, digest, 'action_digest', (bytes) => codec.Action.deserialize(bytes), signal);
  if (action === undefined) return { kind: 'missing', digests: [digest] };
  const commandDigest = optionalDigestFromProto(action.commandDigest, 'action.command_digest');
  if (commandDigest === undefined) throw new Fault('BAD_REQUEST', 'action.command_digest is missing', { field: 'action.command_digest' });
  const inputRoot = optionalDigestFromProto(action.inputRootDigest, 'action.input_root_digest') ?? EMPTY_DIGEST;
  const [command, tree] = await Promise.all([
    message(place.store, commandDigest, 'action.command_digest', (bytes) => codec.Command.deserialize(bytes), signal),
    lookForTree(place, inputRoot, [digest, commandDigest], signal),
  ]);
  const missing = new Set(tree.missing);
  if (command === undefined) missing.add(commandDigest);
  if (command === undefined || missing.size > 0) return { kind: 'missing', digests: [...missing] };
  return { kind: 'found', digest, action, command, inputRoot, inputBytes: tree.bytes };
}

/** Undefined where the blob is missing. */
async function message<T>(
  store: BlobStore,
  digest: Digest,
  field: string,
  decode: (bytes: Buffer) => T,
  signal: AbortSignal,
): Promise<T | undefined> {
  let bytes: Uint8Array;
  try {
    bytes = digest === EMPTY_DIGEST ? new Uint8Array(0) : await blobReader(store, MESSAGE_BYTES_MAX)(digest, signal);
  } catch (error) {
    if (isFault(error, 'BLOB_UNKNOWN') || isFault(error, 'BLOB_CORRUPT')) return undefined;
    throw error;
  }
  try {
    return decode(Buffer.from(bytes));
  } catch (error) {
    throw new Fault('BAD_REQUEST', `${field}: the blob ${digest} is not such a message`, { field, cause: error });
  }
}
