import { Fault, isFault } from '../../base/fault.ts';
import { referencesOf, referencesOfTree, type References } from '../action/references.ts';
import { forEachWithin } from '../byte-budget.ts';
import { digestFrom, EMPTY_DIGEST, hashOf, sizeOf, type Digest } from '../digest.ts';
import { VALUE_BYTES_MAX } from '../entries/check.ts';
import { compressZstd, decompressZstd, STRANGERS_WINDOW_LOG } from '../zstd.ts';
import { bodyTooLarge } from './body.ts';
import { headerOf, text, type FrontParts, type HttpAnswer, type HttpRequest } from './exchange.ts';
import { nothing } from './keyed.ts';
import { notAllowed, refused, statusOf, type Protocol } from './protocol.ts';

/** Names that are looked up at once. */
const AT_ONCE = 64;
const NO_REFERENCES: References = { files: [], trees: [] };

/**
 * Bazel's HTTP cache: results below `ac/`, blobs below `cas/`, both by a SHA-256 alone. A blob's size is not in its name here, as the
 * store wants it, and so an entry `cas/<hash>` says it. A result is there only while all that it names is there by name: a result
 * without its blobs breaks builds.
 */
export const bazelProtocol: Protocol = {
  name: 'bazel',
  pattern: /^\/(?:(?<instance>.+?)\/)?(?<key>(?:ac|cas)\/[0-9a-f]{64})$/,
  async answer(parts, request) {
    const isBlob = request.key.startsWith('cas/');
    switch (request.method) {
      case 'GET':
      case 'HEAD':
        return isBlob ? getBlob(parts, request) : getResult(parts, request);
      case 'PUT':
        return isBlob ? putBlob(parts, request) : putResult(parts, request);
      default:
        return notAllowed(['GET', 'HEAD', 'PUT']);
    }
  },
  refusal: (fault) => refused(fault, statusOf(fault)),
};

async function getBlob(parts: FrontParts, request: HttpRequest): Promise<HttpAnswer> {
  const { view, key, signal } = request;
  const isEmpty = key === nameOf(EMPTY_DIGEST);
  const digest = isEmpty ? EMPTY_DIGEST : (await parts.entries.find(view, key, signal))?.body;
  return digest === undefined ? notThere(request) : bodyOf(parts, request, digest);
}

async function bodyOf({ entries }: FrontParts, { method, headers, view, signal }: HttpRequest, digest: Digest): Promise<HttpAnswer> {
  const size = { 'content-type': 'application/octet-stream', 'x-digest-sizebytes': String(sizeOf(digest)) };
  if (method === 'HEAD') return { status: 200, headers: size, body: { chunks: nothing(), bytes: sizeOf(digest) } };
  const chunks = await entries.open(view, digest, signal);
  if (!acceptsZstd(headerOf(headers, 'accept-encoding'))) return { status: 200, headers: size, body: { chunks, bytes: sizeOf(digest) } };
  const encoded = { chunks: compressZstd(chunks), bytes: undefined };
  return { status: 200, headers: { ...size, 'content-encoding': 'zstd' }, body: encoded };
}

function acceptsZstd(accepted: string | undefined): boolean {
  return (accepted ?? '').split(',').some((one) => /^\s*zstd\s*(?:;\s*q=(?!0(?:\.0*)?\s*$).*)?$/i.test(one));
}

async function putBlob(parts: FrontParts, request: HttpRequest): Promise<HttpAnswer> {
  const { entries, spool } = parts;
  const { view, headers, key, body, signal } = request;
  const hash = key.slice('cas/'.length);
  const encoding = headerOf(headers, 'content-encoding') ?? 'identity';
  if (encoding !== 'identity' && encoding !== 'zstd') {
    throw new Fault('BAD_REQUEST', `Content-Encoding ${encoding} is not taken: use zstd, or none`, { field: 'content-encoding' });
  }
  const size = encoding === 'zstd' ? sizeHeader(headerOf(headers, 'x-digest-sizebytes'), body.bytesMax) : body.lengthBytes;
  if (size === undefined) {
    await using spooled = await spool.spool(body, signal);
    if (hashOf(spooled.digest) !== hash) throw otherBytes(hash);
    await entries.store(view, spooled.digest, spooled.source, signal);
    await entries.keep(view, key, { body: spooled.digest }, { replace: false }, signal);
    return { status: 200 };
  }
  const digest = digestFrom(hash, size);
  if (digest === undefined) throw otherBytes(hash);
  const chunks = encoding === 'zstd' ? decompressZstd(body.chunks, STRANGERS_WINDOW_LOG) : body.chunks;
  await entries.store(view, digest, chunks, signal);
  await entries.keep(view, key, { body: digest }, { replace: false }, signal);
  return { status: 200 };
}

function sizeHeader(value: string | undefined, bytesMax: number): number {
  if (value !== undefined && /^(0|[1-9][0-9]{0,15})$/.test(value)) {
    if (Number(value) > bytesMax) throw bodyTooLarge(bytesMax, 'x-digest-sizebytes');
    return Number(value);
  }
  throw new Fault('BAD_REQUEST', 'With Content-Encoding: zstd the header X-Digest-SizeBytes must say the size of the blob itself', {
    field: 'x-digest-sizebytes',
  });
}

async function getResult(parts: FrontParts, request: HttpRequest): Promise<HttpAnswer> {
  const { entries } = parts;
  const { view, key, signal } = request;
  const found = await entries.find(view, key, signal);
  if (found === undefined || !(await areNamed(parts, request, found.needs))) return notThere(request);
  return bodyOf(parts, request, found.body);
}

/** Whether all blobs can be asked for by hash, so that they count as used together with the result. */
async function areNamed({ entries }: FrontParts, { view, signal }: HttpRequest, { files, trees }: References): Promise<boolean> {
  const all = new Set(files);
  for (const { tree, root } of trees) {
    all.add(tree);
    if (root !== undefined) all.add(root);
    const references = (bytes: Uint8Array) => referencesOfTree(bytes, root !== undefined);
    for (const digest of await entries.readWhole(view, tree, references, signal)) all.add(digest);
  }
  all.delete(EMPTY_DIGEST);
  let isComplete = true;
  const look = async (digest: Digest, either: AbortSignal) => {
    if (!(await entries.isNamed(view, nameOf(digest), either))) isComplete = false;
  };
  await forEachWithin(all, AT_ONCE, () => 1, look, signal);
  return isComplete;
}

async function putResult({ entries, spool }: FrontParts, { view, key, body, signal }: HttpRequest): Promise<HttpAnswer> {
  await entries.has(view, key, signal); // says who may not store, before the body comes
  await using spooled = await spool.spool(body, signal);
  if (sizeOf(spooled.digest) > VALUE_BYTES_MAX) throw new Fault('TOO_LARGE', `A result has at most ${VALUE_BYTES_MAX} bytes`);
  const chunks: Uint8Array[] = [];
  if (spooled.source instanceof Uint8Array) chunks.push(spooled.source);
  else for await (const chunk of spooled.source) chunks.push(chunk);
  const needs = namedBy(Buffer.concat(chunks));
  await entries.store(view, spooled.digest, spooled.source, signal);
  await entries.keep(view, key, { body: spooled.digest, needs }, { replace: true }, signal);
  return { status: 200 };
}

/** What a result names. Other tools keep other things at Bazel's paths: those name nothing. */
function namedBy(body: Uint8Array): References {
  try {
    return referencesOf(body);
  } catch (error) {
    if (isFault(error, 'BAD_REQUEST')) return NO_REFERENCES;
    throw error;
  }
}

function nameOf(digest: Digest): string {
  return `cas/${hashOf(digest)}`;
}

function notThere({ key, view }: HttpRequest): HttpAnswer {
  return text(404, `${key} is not in ${view.reads.join(', ')}\n`);
}

function otherBytes(hash: string): Fault {
  return new Fault('DIGEST_MISMATCH', `The body has another SHA-256 than ${hash}`);
}
