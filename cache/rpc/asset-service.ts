import { createHash } from 'node:crypto';
import { Fault } from '../../base/fault.ts';
import { digestFromProto, digestToProto } from '../../proto/convert.ts';
import type { FetchHandlers } from '../../proto/gen/build/bazel/remote/asset/v1/Fetch.ts';
import type { FetchBlobRequest__Output } from '../../proto/gen/build/bazel/remote/asset/v1/FetchBlobRequest.ts';
import type { FetchBlobResponse } from '../../proto/gen/build/bazel/remote/asset/v1/FetchBlobResponse.ts';
import type { PushHandlers } from '../../proto/gen/build/bazel/remote/asset/v1/Push.ts';
import type { PushBlobRequest__Output } from '../../proto/gen/build/bazel/remote/asset/v1/PushBlobRequest.ts';
import type { Qualifier__Output } from '../../proto/gen/build/bazel/remote/asset/v1/Qualifier.ts';
import type { Timestamp__Output } from '../../proto/gen/google/protobuf/Timestamp.ts';
import { unary, type Call } from '../../proto/handlers.ts';
import { loadProto } from '../../proto/load.ts';
import type { ServedService } from '../../proto/serve.ts';
import type { BlobStore } from '../blob-store.ts';
import { EMPTY_DIGEST, type Digest } from '../digest.ts';
import { ToolEntries, type ToolEntry } from '../http/tool-entries.ts';
import { blobReader } from '../read-blob.ts';
import { decodeDirectory } from '../tree/directory.ts';
import { accessOf, requireUploads } from './access.ts';
import { checkDigestFunction, type DataPlaneParts } from './service.ts';

const URIS_MAX = 100;
/** Blobs and directories that one asset may need. */
const NEEDS_MAX = 100_000;
const DIRECTORY_BYTES_MAX = 4 * 1024 * 1024;
const EXPIRES = 'expire_at_ms';
const NOT_FOUND = 5;

type Kind = 'blob' | 'directory';

/** What requests for blobs and for directories have in common. */
type FetchRequest = Pick<FetchBlobRequest__Output, 'instanceName' | 'uris' | 'qualifiers' | 'oldestContentAccepted' | 'digestFunction'>;
type PushRequest = Omit<PushBlobRequest__Output, 'blobDigest'>;

/** `digest` is absent where nothing is known. */
type FetchAnswer = Omit<FetchBlobResponse, 'blobDigest'> & { readonly digest?: Digest };

/**
 * The Remote Asset API over entries of the kind `tool`: an asset is there while it and all that it refers to are. Nothing is ever fetched
 * from elsewhere: a server that does so for its callers can be sent into its own network.
 */
export function assetServices(parts: DataPlaneParts): readonly ServedService[] {
  const { env } = parts;
  const { complete, raw } = parts.entries;
  const entries = new ToolEntries({ storeOf: parts.storeOf, complete, raw, clock: env.clock });
  const fetches: FetchHandlers = {
    FetchBlob: unary(env, 'FetchBlob', async (request, call) => {
      const { digest, ...answer } = await fetchAsset(parts, entries, 'blob', request, call);
      return { ...answer, ...(digest === undefined ? {} : { blobDigest: digestToProto(digest) }) };
    }),
    FetchDirectory: unary(env, 'FetchDirectory', async (request, call) => {
      const { digest, ...answer } = await fetchAsset(parts, entries, 'directory', request, call);
      return { ...answer, ...(digest === undefined ? {} : { rootDirectoryDigest: digestToProto(digest) }) };
    }),
  };
  const pushes: PushHandlers = {
    PushBlob: unary(env, 'PushBlob', async (request, call) => {
      checkNames(request);
      return push(parts, entries, { kind: 'blob', digest: digestFromProto(request.blobDigest, 'blob_digest') }, request, call);
    }),
    PushDirectory: unary(env, 'PushDirectory', async (request, call) => {
      checkNames(request);
      const digest = digestFromProto(request.rootDirectoryDigest, 'root_directory_digest');
      return push(parts, entries, { kind: 'directory', digest }, request, call);
    }),
  };
  const { Fetch, Push } = loadProto().build.bazel.remote.asset.v1;
  return [
    { definition: Fetch.service, handlers: fetches },
    { definition: Push.service, handlers: pushes },
  ];
}

async function fetchAsset(
  parts: DataPlaneParts,
  entries: ToolEntries,
  kind: Kind,
  request: FetchRequest,
  call: Call,
): Promise<FetchAnswer> {
  checkNames(request);
  const { view } = accessOf(parts, request.instanceName, call);
  checkDigestFunction(request.digestFunction);
  const oldest = msOf(request.oldestContentAccepted) ?? Number.NEGATIVE_INFINITY;
  for (const uri of request.uris) {
    const found = await entries.find(view, keyOf(kind, uri, request.qualifiers), call.signal);
    if (found === undefined || found.writtenAt < oldest) continue;
    const expires = expiryOf(found);
    if (expires !== undefined && expires <= parts.env.clock.now()) continue;
    const status = { code: 0, message: '', details: [] };
    const until = expires === undefined ? {} : { expiresAt: timestamp(expires) };
    return { status, uri, qualifiers: request.qualifiers, ...until, digest: found.body, digestFunction: 'SHA256' };
  }
  const message = `Nobody has pushed this ${kind} into ${view.reads.join(', ')}, or not all of it is there; it is not fetched from elsewhere`;
  return { status: { code: NOT_FOUND, message, details: [] }, uri: request.uris[0] ?? '' };
}

async function push(
  parts: DataPlaneParts,
  entries: ToolEntries,
  { kind, digest }: { readonly kind: Kind; readonly digest: Digest },
  request: PushRequest,
  call: Call,
): Promise<Record<string, never>> {
  const access = accessOf(parts, request.instanceName, call);
  requireUploads(access);
  checkDigestFunction(request.digestFunction);
  const store = parts.storeOf(access.view);
  const blobs = request.referencesBlobs.map((one, index) => digestFromProto(one, `references_blobs[${index}]`));
  const roots = request.referencesDirectories.map((one, index) => digestFromProto(one, `references_directories[${index}]`));
  const needs = await allOf(kind === 'directory' ? [digest, ...roots] : roots, blobs, store, call.signal);
  const missing = await store.findMissing([digest, ...needs], call.signal);
  if (missing[0] !== undefined) {
    throw new Fault('BLOB_UNKNOWN', `${missing.length} blobs that the asset needs are not in the store, such as ${missing[0]}`, {
      hint: 'Store them first.',
    });
  }
  const expires = msOf(request.expireAt);
  const headers = expires === undefined ? [] : [{ name: EXPIRES, value: String(expires) }];
  const entry = { body: digest, headers, needs: { files: needs, trees: [] } };
  for (const uri of request.uris) {
    await entries.keep(access.view, keyOf(kind, uri, request.qualifiers), entry, { replace: true }, call.signal);
  }
  return {};
}

/** The blobs, and the directories with all that is below them. */
async function allOf(
  roots: readonly Digest[],
  blobs: readonly Digest[],
  store: BlobStore,
  signal: AbortSignal,
): Promise<readonly Digest[]> {
  const directories = new Set(roots);
  const all = new Set(blobs);
  const read = blobReader(store, DIRECTORY_BYTES_MAX);
  // A set is walked in the order in which it grows.
  for (const digest of directories) {
    all.add(digest);
    const bytes = digest === EMPTY_DIGEST ? new Uint8Array(0) : await read(digest, signal);
    const { files, directories: below } = decodeDirectory(bytes);
    for (const file of files) all.add(file.digest);
    for (const child of below) directories.add(child.digest);
    if (all.size + directories.size > NEEDS_MAX) throw new Fault('TOO_LARGE', `An asset may need at most ${NEEDS_MAX} blobs`);
  }
  return [...all];
}

/** Clients ask with an empty request whether the service is there, and take this answer for yes. @throws {Fault} BAD_REQUEST */
function checkNames({ uris, qualifiers }: { readonly uris: readonly string[]; readonly qualifiers: readonly Qualifier__Output[] }): void {
  if (uris.length === 0) throw new Fault('BAD_REQUEST', 'uris is empty: name the asset', { field: 'uris' });
  if (uris.length > URIS_MAX)
    throw new Fault('BAD_REQUEST', `uris has ${uris.length} entries; at most ${URIS_MAX} are taken`, { field: 'uris' });
  if (new Set(qualifiers.map(({ name }) => name)).size < qualifiers.length) {
    throw new Fault('BAD_REQUEST', 'Two qualifiers have the same name', { field: 'qualifiers' });
  }
}

/** A key of bounded length for whatever names the asset; the order of qualifiers says nothing. */
function keyOf(kind: Kind, uri: string, qualifiers: readonly Qualifier__Output[]): string {
  const pairs = qualifiers.map(({ name, value }) => [name, value] as const).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return `asset/${kind}/${createHash('sha256')
    .update(JSON.stringify([uri, pairs]))
    .digest('hex')}`;
}

function expiryOf({ headers }: ToolEntry): number | undefined {
  const value = headers.find(({ name }) => name === EXPIRES)?.value;
  return value === undefined ? undefined : Number(value);
}

function msOf(time: Timestamp__Output | null): number | undefined {
  return time === null ? undefined : Number(time.seconds) * 1_000 + Math.floor(time.nanos / 1_000_000);
}

function timestamp(ms: number): { seconds: number; nanos: number } {
  return { seconds: Math.floor(ms / 1_000), nanos: (ms % 1_000) * 1_000_000 };
}
