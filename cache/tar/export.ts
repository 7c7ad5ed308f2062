import { Readable } from 'node:stream';
import zlib from 'node:zlib';
import { pack, type Header, type Pack } from 'tar-stream';
import type { TimeMs } from '../../base/clock.ts';
import { Fault } from '../../base/fault.ts';
import type { BlobStore } from '../blob-store.ts';
import { sizeOf, type Digest } from '../digest.ts';
import { blobReader } from '../read-blob.ts';
import { DirectoryReader } from '../tree/directory-reader.ts';
import { compressZstd } from '../zstd.ts';
import { Tally, type Compression } from './import.ts';
import { walkTree, type Step } from './walk.ts';

export type TarExportOptions = {
  /** @default none */
  readonly compression?: Compression;
  /** The time of all entries, in whole seconds. @default 0, the beginning of 1970 */
  readonly mtime?: TimeMs;
  /** Where it is given, the archive is a layer of an OCI image that makes the tree of this one. */
  readonly base?: Digest;
};

/** An archive on its way. The same tree and options give the same bytes, with the same Node. */
export interface TarExport {
  /** To be read once; whoever leaves it early ends it. */
  readonly bytes: AsyncIterable<Uint8Array>;
  /** Digest of all bytes, and of the archive within them (an OCI layer's DiffID), once they were read to their end. */
  result(): { readonly digest: Digest; readonly diffId: Digest };
}

/** Compressors get pieces of one size, whatever sizes come: so what comes out does not depend on them. */
const PIECE_BYTES = 1024 * 1024;
const MODES = { file: 0o644, executable: 0o755, directory: 0o755, symlink: 0o777 } as const;

/**
 * A tree as an archive: entries sorted, everybody's and everything's id 0, one time. Paths and targets that do not fit into a plain header
 * get an extended one. Permissions are those that the tree says, else by whether a file is executable.
 * Reading throws {Fault} BAD_REQUEST where a layer would hold a name that means a whiteout; whatever the store throws.
 */
export function exportTar(root: Digest, store: BlobStore, options: TarExportOptions, signal: AbortSignal): TarExport {
  const [inside, all] = [new Tally(), new Tally()];
  const tar = inside.over(entriesOf(root, store, options, signal));
  const bytes = all.over(compressed(tar, options.compression ?? 'none'));
  return { bytes, result: () => ({ digest: all.digest(), diffId: inside.digest() }) };
}

async function* entriesOf(
  root: Digest,
  store: BlobStore,
  options: TarExportOptions,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  const archive = pack();
  const stop = new AbortController();
  const either = AbortSignal.any([signal, stop.signal]);
  const writing = writeAll(archive, root, store, options, either).then(
    () => archive.finalize(),
    (error: unknown) => archive.destroy(error instanceof Error ? error : new Error(String(error))),
  );
  try {
    for await (const chunk of archive) yield chunk as Uint8Array; // a writer's chunks are Buffers
  } finally {
    stop.abort();
    archive.destroy();
    await writing;
  }
}

async function writeAll(archive: Pack, root: Digest, store: BlobStore, options: TarExportOptions, signal: AbortSignal): Promise<void> {
  const reader = new DirectoryReader(blobReader(store));
  const mtime = new Date(Math.floor((options.mtime ?? 0) / 1_000) * 1_000);
  const isLayer = options.base !== undefined;
  for await (const step of walkTree(options.base, root, reader, signal)) {
    if (isLayer) refuseWhiteoutName(step);
    const header = { ...headerOf(step), mtime, uid: 0, gid: 0 };
    const content = step.kind === 'file' ? store.get(step.file.digest, undefined, signal) : NOTHING;
    await writeEntry(archive, header, content, signal);
  }
}

const NOTHING: readonly Uint8Array[] = [];

type WrittenHeader = Partial<Header> & Pick<Header, 'name'>;

function headerOf(step: Step): WrittenHeader {
  switch (step.kind) {
    case 'directory':
      return { name: `${step.path}/`, type: 'directory', mode: step.directory.properties?.mode ?? MODES.directory };
    case 'symlink':
      return { name: step.path, type: 'symlink', mode: MODES.symlink, linkname: step.link.target };
    case 'removed':
      return { name: `${step.directory === '' ? '' : `${step.directory}/`}.wh.${step.name}`, type: 'file', mode: MODES.file, size: 0 };
    case 'file': {
      const { digest, executable, properties } = step.file;
      const mode = properties?.mode ?? (executable ? MODES.executable : MODES.file);
      return { name: step.path, type: 'file', mode, size: sizeOf(digest) };
    }
  }
}

async function writeEntry(
  archive: Pack,
  header: WrittenHeader,
  content: AsyncIterable<Uint8Array> | readonly Uint8Array[],
  signal: AbortSignal,
): Promise<void> {
  const ended = Promise.withResolvers<void>();
  ended.promise.catch(() => undefined); // awaited below
  const sink = archive.entry(header, (error) => (error instanceof Error ? ended.reject(error) : ended.resolve()));
  sink.on('error', () => undefined); // the callback has it
  for await (const chunk of content) {
    signal.throwIfAborted();
    if (!sink.write(chunk)) await Promise.race([new Promise<void>((resolve) => sink.once('drain', () => resolve())), ended.promise]);
  }
  sink.end(undefined);
  await ended.promise;
}

function refuseWhiteoutName(step: Step): void {
  const name = step.kind === 'removed' ? step.name : step.path.slice(step.path.lastIndexOf('/') + 1);
  if (!name.startsWith('.wh.')) return;
  throw new Fault('BAD_REQUEST', `"${name}": in a layer a name that begins with ".wh." takes something away`, {
    hint: 'Give it another name.',
  });
}

async function* compressed(source: AsyncIterable<Uint8Array>, compression: Compression): AsyncGenerator<Uint8Array, void, undefined> {
  if (compression === 'none') yield* source;
  else if (compression === 'zstd') yield* compressZstd(inPieces(source));
  else {
    const input = Readable.from(inPieces(source), { highWaterMark: 1 });
    const zip = zlib.createGzip({ level: 6 });
    input.on('error', (error) => zip.destroy(error));
    input.pipe(zip);
    try {
      for await (const chunk of zip) yield chunk as Uint8Array; // an encoder's chunks are Buffers
    } finally {
      input.destroy();
      zip.destroy();
    }
  }
}

async function* inPieces(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  let piece = Buffer.allocUnsafe(PIECE_BYTES);
  let filled = 0;
  for await (const chunk of source) {
    for (let at = 0; at < chunk.byteLength;) {
      const taken = Math.min(chunk.byteLength - at, PIECE_BYTES - filled);
      piece.set(chunk.subarray(at, at + taken), filled);
      at += taken;
      filled += taken;
      if (filled < PIECE_BYTES) continue;
      yield piece;
      piece = Buffer.allocUnsafe(PIECE_BYTES);
      filled = 0;
    }
  }
  if (filled > 0) yield piece.subarray(0, filled);
}
