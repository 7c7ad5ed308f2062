import { Fault, isFault } from '../../base/fault.ts';
import { digestFromProto } from '../../proto/convert.ts';
import type { GetTreeRequest__Output } from '../../proto/gen/build/bazel/remote/execution/v2/GetTreeRequest.ts';
import type { GetTreeResponse } from '../../proto/gen/build/bazel/remote/execution/v2/GetTreeResponse.ts';
import type { Call } from '../../proto/handlers.ts';
import { loadProto } from '../../proto/load.ts';
import { EMPTY_DIGEST, type Digest } from '../digest.ts';
import { blobReader } from '../read-blob.ts';
import { decodeDirectory } from '../tree/directory.ts';
import { accessOf } from './access.ts';
import { checkDigestFunction, type DataPlaneParts } from './service.ts';

/** Bytes of directories in one message, well below what every client takes. */
const PAGE_BYTES = 1024 * 1024;
const PAGE_ENTRIES = 10_000;
/** Each is remembered as long as the caller reads: some 150 bytes. A tree of more cannot be the input of an action either. */
const DIRECTORIES_MAX = 200_000;
const DIRECTORY_BYTES_MAX = 3 * 1024 * 1024;

/**
 * All directories of a tree, level by level from the root, each once. A page token is the number of directories before it,
 * which is stable as long as none goes missing.
 */
export async function* getTree(
  parts: DataPlaneParts,
  request: GetTreeRequest__Output,
  call: Call,
): AsyncGenerator<GetTreeResponse, void, undefined> {
  const access = accessOf(parts, request.instanceName, call);
  checkDigestFunction(request.digestFunction);
  const root = digestFromProto(request.rootDigest, 'root_digest');
  const skip = parseToken(request.pageToken, root);
  const pageSize = request.pageSize > 0 ? Math.min(request.pageSize, PAGE_ENTRIES) : PAGE_ENTRIES;
  const codec = loadProto().build.bazel.remote.execution.v2.Directory;
  let page: Buffer[] = [];
  let pageBytes = 0;
  let count = 0;
  for await (const bytes of walk(root, blobReader(parts.storeOf(access.view), DIRECTORY_BYTES_MAX), call.signal)) {
    count += 1;
    if (count <= skip) continue;
    if (page.length >= pageSize || (page.length > 0 && pageBytes + bytes.byteLength > PAGE_BYTES)) {
      yield { directories: page.map((one) => codec.deserialize(one)), nextPageToken: `${count - 1}-${root}` };
      page = [];
      pageBytes = 0;
    }
    page.push(Buffer.from(bytes));
    pageBytes += bytes.byteLength;
  }
  yield { directories: page.map((one) => codec.deserialize(one)), nextPageToken: '' };
}

async function* walk(
  root: Digest,
  read: (digest: Digest, signal: AbortSignal) => Promise<Uint8Array>,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  const seen = new Set<Digest>([root]);
  // A set is walked in the order in which it grows.
  for (const digest of seen) {
    let bytes: Uint8Array;
    try {
      bytes = digest === EMPTY_DIGEST ? new Uint8Array(0) : await read(digest, signal);
    } catch (error) {
      if (digest !== root && isFault(error, 'BLOB_UNKNOWN')) continue;
      throw error;
    }
    for (const child of decodeDirectory(bytes).directories) seen.add(child.digest);
    if (seen.size > DIRECTORIES_MAX) throw new Fault('TOO_LARGE', `The tree has more than ${DIRECTORIES_MAX} directories`);
    yield bytes;
  }
}

function parseToken(token: string, root: Digest): number {
  if (token === '') return 0;
  const dash = token.indexOf('-');
  const count = /^[1-9][0-9]{0,6}$/.test(token.slice(0, dash)) ? Number(token.slice(0, dash)) : undefined;
  if (count === undefined || token.slice(dash + 1) !== root)
    throw new Fault('BAD_REQUEST', 'page_token is none of this tree', { field: 'page_token' });
  return count;
}
