import { createHash, randomBytes, type Hash } from 'node:crypto';
import { open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import zlib from 'node:zlib';
import { extract, type Extract as Parser } from 'tar-stream';
import { Fault, isFault } from '../../base/fault.ts';
import { formatSizeBytes } from '../../base/quantity.ts';
import type { BlobStore } from '../blob-store.ts';
import { ByteBudget } from '../byte-budget.ts';
import { digestFrom, digestOf, type Digest } from '../digest.ts';
import { buildTree, type BlobSource } from '../tree/build.ts';
import { diskFault } from '../tree/place.ts';
import { readPieces, uploadTree } from '../tree/upload.ts';
import { decompressZstd } from '../zstd.ts';
import { NAME_ENCODING, TAR_LIMITS, checkNames, readEntry, type TarEntry, type TarLimits } from './entry.ts';
import { TarTree } from './tar-tree.ts';

export type Compression = 'none' | 'gzip' | 'zstd';

export type TarImportOptions = {
  /** Gets the files and the directories. */
  readonly store: BlobStore;
  /** A directory for files that are too large to hold; they are there for as long as they are on their way. */
  readonly spoolDir: string;
  readonly limits?: Partial<TarLimits>;
  /** Devices, pipes and sockets, which trees cannot hold. @default refuse */
  readonly special?: 'refuse' | 'skip';
  /** Whether it is a layer of an OCI image, whose `.wh.` entries take away what is below. @default false */
  readonly layer?: boolean;
};

export type ImportedTar = {
  /** Of the tree that the archive alone makes. */
  readonly root: Digest;
  readonly fileCount: number;
  readonly bytes: number;
  readonly compression: Compression;
  /** Of the bytes that came: an OCI layer's digest. */
  readonly digest: Digest;
  /** Of the archive within them: an OCI layer's DiffID. */
  readonly diffId: Digest;
  /** Of a layer: paths that it takes away from what is below it, and directories of which it shows nothing that is below it. */
  readonly whiteouts: readonly (readonly string[])[];
  readonly opaque: readonly (readonly string[])[];
  /** Devices and the like that were left out. */
  readonly skippedCount: number;
};

/** Files up to this size are held in memory until they are stored; so many bytes of them at once. */
const HELD_BYTES_MAX = 4 * 1024 * 1024;
const IN_FLIGHT_BYTES = 32 * 1024 * 1024;
const OVERHEAD_BYTES = 2 * 1024;
/** What its types leave out: how names are read, and archives from before there were format marks. */
const PARSER_OPTIONS = { highWaterMark: 64 * 1024, filenameEncoding: NAME_ENCODING, allowUnknownFormat: true };
const WHITEOUT = '.wh.';
const OPAQUE = '.wh..wh..opq';

/**
 * Reads an archive (tar, or that in gzip or zstd) into a store, as a tree. Nothing of it is ever made on a disk under its own name.
 * @throws {Fault} PATH_ESCAPES, BAD_REQUEST, TOO_LARGE naming the entry; whatever `source` and the store throw. The store may then have
 * some of the files, and no tree that names them.
 */
export async function importTar(source: AsyncIterable<Uint8Array>, options: TarImportOptions, signal: AbortSignal): Promise<ImportedTar> {
  const limits = { ...TAR_LIMITS, ...options.limits };
  const came = new Tally();
  const inside = new Tally();
  const compressed = await peek(came.over(source));
  const tar = withEndMark(bounded(inside.over(decompressed(compressed)), limits.bytes));
  const importer = new Importer(options, limits, signal);
  const parser = extract(PARSER_OPTIONS);
  const feed = Readable.from(tar, { highWaterMark: 1 });
  feed.on('error', (error) => parser.destroy(error));
  feed.pipe(parser);
  try {
    for await (const entry of parser) {
      signal.throwIfAborted();
      await importer.take(entry);
    }
    await importer.settled();
  } catch (error) {
    throw importer.failure ?? tarFault(error);
  } finally {
    feed.destroy();
    await end(parser, importer);
  }
  const tree = buildTree(importer.tree.entries());
  const blobs = new Map([...tree.encoded].map(([digest, bytes]): [Digest, BlobSource] => [digest, { kind: 'bytes', bytes }]));
  await uploadTree({ blobs }, options.store, signal);
  const { root, fileCount, bytes } = tree;
  const { whiteouts, opaque, skippedCount } = importer;
  const { compression } = compressed;
  return { root, fileCount, bytes, compression, digest: came.digest(), diffId: inside.digest(), whiteouts, opaque, skippedCount };
}

async function end(parser: Parser, importer: Importer): Promise<void> {
  parser.destroy();
  await importer.settled().catch(() => undefined); // the first failure is on its way already
}

class Importer {
  readonly tree = new TarTree('refuse');
  readonly whiteouts: (readonly string[])[] = [];
  readonly opaque: (readonly string[])[] = [];
  skippedCount = 0;
  failure: unknown;
  readonly #options: TarImportOptions;
  readonly #limits: TarLimits;
  readonly #signal: AbortSignal;
  readonly #stop = new AbortController();
  readonly #budget = new ByteBudget(IN_FLIGHT_BYTES);
  readonly #running = new Set<Promise<void>>();
  #entryCount = 0;

  constructor(options: TarImportOptions, limits: TarLimits, signal: AbortSignal) {
    this.#options = options;
    this.#limits = limits;
    this.#signal = AbortSignal.any([signal, this.#stop.signal]);
  }

  async take(stream: EntryStream): Promise<void> {
    this.#entryCount += 1;
    if (this.#entryCount > this.#limits.entries) throw new Fault('TOO_LARGE', `The archive has over ${this.#limits.entries} entries`);
    const entry = readEntry(stream.header, this.#limits);
    if (this.#options.layer === true && this.#takeWhiteout(entry)) {
      stream.resume();
      return;
    }
    checkNames(entry.names);
    switch (entry.kind) {
      case 'file':
        this.tree.leaf(entry.names, { kind: 'file', digest: await this.#store(entry, stream), executable: entry.executable });
        return;
      case 'directory':
        this.tree.directory(entry.names);
        break;
      case 'symlink':
        this.tree.leaf(entry.names, { kind: 'symlink', target: entry.target });
        break;
      case 'hardlink':
        this.tree.leaf(entry.names, this.tree.fileAt(entry.target, entry.names));
        break;
      case 'special':
        if (this.#options.special !== 'skip') throw special(entry);
        this.skippedCount += 1;
        break;
    }
    stream.resume();
  }

  /** Waits until all is stored. @throws what the first that failed has thrown */
  async settled(): Promise<void> {
    await Promise.all(this.#running);
    if (this.failure !== undefined) throw this.failure;
  }

  #takeWhiteout({ kind, names }: TarEntry): boolean {
    const name = names.at(-1);
    if (name?.startsWith(WHITEOUT) !== true) return false;
    const parent = names.slice(0, -1);
    const hidden = name.slice(WHITEOUT.length);
    if (kind !== 'file' && kind !== 'hardlink') throw new Fault('BAD_REQUEST', `Layer entry "${names.join('/')}": a whiteout is a file`);
    if (name === OPAQUE) this.opaque.push(parent);
    else if (hidden.startsWith(WHITEOUT)) this.skippedCount += 1; // what one file system notes for itself
    else if (hidden === '' || hidden === '.' || hidden === '..') {
      throw new Fault('BAD_REQUEST', `Layer entry "${names.join('/')}": a whiteout of nothing`);
    } else {
      checkNames([...parent, hidden]);
      this.whiteouts.push([...parent, hidden]);
    }
    return true;
  }

  /** Stores a file on the side where it is small. Its digest, once its bytes were read. */
  async #store(entry: EntryOf<'file'>, stream: EntryStream): Promise<Digest> {
    if (entry.sizeBytes > HELD_BYTES_MAX) return await this.#storeLarge(stream);
    const room = await this.#budget.take(entry.sizeBytes + OVERHEAD_BYTES, this.#signal);
    const chunks: Uint8Array[] = [];
    for await (const chunk of stream) chunks.push(chunk as Uint8Array); // a parser's chunks are Buffers
    const bytes = Buffer.concat(chunks);
    const digest = digestOf(bytes);
    const task: Promise<void> = this.#options.store
      .put(digest, bytes, this.#signal)
      .catch((error: unknown) => {
        this.failure ??= error;
        this.#stop.abort(error);
      })
      .finally(() => {
        room[Symbol.dispose]();
        this.#running.delete(task);
      });
    this.#running.add(task);
    return digest;
  }

  /** By way of the disk: a store wants to know the digest before the bytes. */
  async #storeLarge(stream: EntryStream): Promise<Digest> {
    const path = join(this.#options.spoolDir, `tar-${randomBytes(8).toString('hex')}`);
    const tally = new Tally();
    try {
      await using file = await open(path, 'wx', 0o600);
      for await (const chunk of tally.over(stream as AsyncIterable<Uint8Array>)) {
        this.#signal.throwIfAborted();
        await file.writeFile(chunk);
      }
      const digest = tally.digest();
      await this.#options.store.put(digest, { [Symbol.asyncIterator]: () => readPieces(path) }, this.#signal);
      return digest;
    } catch (error) {
      throw diskFault(error, path);
    } finally {
      await rm(path, { force: true });
    }
  }
}

/** An entry's header and bytes. */
type EntryStream = Parser extends AsyncIterable<infer E> ? E : never;
type EntryOf<K extends TarEntry['kind']> = Extract<TarEntry, { readonly kind: K }>;

function special({ names }: TarEntry): Fault {
  return new Fault('BAD_REQUEST', `Archive entry "${names.join('/')}" is a device, a pipe or a socket`, {
    hint: 'Make the archive without it.',
  });
}

/** Length and hash of bytes on their way. */
export class Tally {
  readonly #sum: Hash = createHash('sha256');
  #length = 0;

  async *over(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
    for await (const chunk of source) {
      this.#sum.update(chunk);
      this.#length += chunk.byteLength;
      yield chunk;
    }
  }

  /** Of what has passed; once. */
  digest(): Digest {
    const digest = digestFrom(this.#sum.digest('hex'), this.#length);
    if (digest === undefined) throw new Fault('INTERNAL', 'A SHA-256 is no digest');
    return digest;
  }
}

type Peeked = { readonly compression: Compression; readonly bytes: AsyncIterable<Uint8Array> };

/** Finds out by its first bytes what it is. */
async function peek(source: AsyncIterable<Uint8Array>): Promise<Peeked> {
  const iterator = source[Symbol.asyncIterator]();
  let head = Buffer.alloc(0);
  while (head.byteLength < 4) {
    const next = await iterator.next();
    if (next.done === true) break;
    head = Buffer.concat([head, next.value]);
  }
  const bytes = async function* () {
    try {
      if (head.byteLength > 0) yield head;
      for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) yield next.value;
    } finally {
      await iterator.return?.();
    }
  };
  const isZstd = head.byteLength >= 4 && (head.readUInt32LE(0) === 0xfd2fb528 || (head.readUInt32LE(0) & 0xfffffff0) >>> 0 === 0x184d2a50);
  const isGzip = head.byteLength >= 2 && head[0] === 0x1f && head[1] === 0x8b;
  return { compression: isGzip ? 'gzip' : isZstd ? 'zstd' : 'none', bytes: bytes() };
}

async function* decompressed({ compression, bytes }: Peeked): AsyncGenerator<Uint8Array, void, undefined> {
  if (compression === 'none') yield* bytes;
  else if (compression === 'zstd') yield* decompressZstd(bytes);
  else {
    const input = Readable.from(bytes, { highWaterMark: 1 });
    const unzip = zlib.createGunzip({ chunkSize: 256 * 1024 });
    input.on('error', (error) => unzip.destroy(error));
    input.pipe(unzip);
    try {
      for await (const chunk of unzip) yield chunk as Uint8Array; // a decoder's chunks are Buffers
    } finally {
      input.destroy();
      unzip.destroy();
    }
  }
}

async function* bounded(source: AsyncIterable<Uint8Array>, limitBytes: number): AsyncGenerator<Uint8Array, void, undefined> {
  let length = 0;
  for await (const chunk of source) {
    length += chunk.byteLength;
    if (length > limitBytes)
      throw new Fault('TOO_LARGE', `The archive is larger than ${formatSizeBytes(limitBytes)} once it is decompressed`);
    yield chunk;
  }
}

/** An archive ends with two blocks of zeros: one that does not was cut off, perhaps just between two entries. */
async function* withEndMark(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  let zeros = 0;
  for await (const chunk of source) {
    let last = chunk.byteLength - 1;
    while (last >= 0 && chunk[last] === 0 && chunk.byteLength - 1 - last < 1_024) last -= 1;
    zeros = last < 0 ? zeros + chunk.byteLength : chunk.byteLength - 1 - last;
    yield chunk;
  }
  if (zeros < 1_024) throw new Fault('BAD_REQUEST', 'The archive ends without its end mark: it was cut off, or is no tar');
}

/** What the parser and the decoders throw is about the archive. */
function tarFault(error: unknown): unknown {
  if (isFault(error) || !(error instanceof Error)) return error;
  const isArchive =
    ('code' in error && String(error.code).startsWith('Z_')) || /tar header|end of data|Invalid header|Header exceeds/i.test(error.message);
  return isArchive ? new Fault('BAD_REQUEST', `The archive is damaged or no tar: ${error.message}`, { cause: error }) : error;
}
