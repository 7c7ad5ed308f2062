import { isFault } from '../../base/fault.ts';
import { optionalDigestFromProto } from '../../proto/convert.ts';
import type { ActionResult, ActionResult__Output } from '../../proto/gen/build/bazel/remote/execution/v2/ActionResult.ts';
import type { BlobStore } from '../blob-store.ts';
import { sizeOf, type Digest } from '../digest.ts';
import { blobReader } from '../read-blob.ts';
import type { InlineWishes } from './digest-request.ts';
import { CLIENT_MESSAGE_BYTES } from './limits.ts';

/** Bytes of blobs that are put into an answer itself where the caller asks for that. */
const INLINE_BYTES_MAX = 1024 * 1024;
/** Kept free in a message for what is in it beside the result. */
const ENVELOPE_BYTES = 64 * 1024;

/**
 * The result, of `resultBytes` in its wire form, with the blobs in it that the caller asked for, as far as they are small and there;
 * their digests stay. @throws {Fault} those of the store, but for blobs that are gone
 */
export async function inlined(
  result: ActionResult__Output,
  wishes: InlineWishes,
  resultBytes: number,
  store: BlobStore,
  signal: AbortSignal,
): Promise<ActionResult> {
  let room = Math.min(INLINE_BYTES_MAX, CLIENT_MESSAGE_BYTES - ENVELOPE_BYTES - resultBytes);
  const read = async (digest: Digest | undefined): Promise<Buffer | undefined> => {
    if (digest === undefined || sizeOf(digest) > room) return undefined;
    room -= sizeOf(digest);
    try {
      return Buffer.from(await blobReader(store)(digest, signal));
    } catch (error) {
      if (isFault(error, 'BLOB_UNKNOWN') || isFault(error, 'BLOB_CORRUPT')) return undefined; // a wish only; the digest stays
      throw error;
    }
  };
  const stdout = wishes.inlineStdout ? await read(optionalDigestFromProto(result.stdoutDigest, 'stdout_digest')) : undefined;
  const stderr = wishes.inlineStderr ? await read(optionalDigestFromProto(result.stderrDigest, 'stderr_digest')) : undefined;
  const wanted = new Set(wishes.inlineOutputFiles);
  const outputFiles: ActionResult['outputFiles'] = [];
  for (const file of result.outputFiles) {
    const contents = wanted.has(file.path) ? await read(optionalDigestFromProto(file.digest, 'output_files.digest')) : undefined;
    outputFiles.push(contents === undefined ? file : { ...file, contents });
  }
  return {
    ...result,
    outputFiles,
    ...(stdout === undefined ? {} : { stdoutRaw: stdout }),
    ...(stderr === undefined ? {} : { stderrRaw: stderr }),
  };
}
