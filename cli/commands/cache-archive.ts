import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Fault } from '../../base/fault.ts';
import { encodeStepResult } from '../../cache/action/action-result.ts';
import { NO_USAGE } from '../../cache/action/result.ts';
import type { BlobStore } from '../../cache/blob-store.ts';
import { EMPTY_DIGEST, hashOf, parseDigest, sizeOf, type Digest } from '../../cache/digest.ts';
import { NO_PROVENANCE, type Put } from '../../cache/entries/entry-store.ts';
import { wholeTree } from '../../cache/layer/tree-message.ts';
import { blobReader } from '../../cache/read-blob.ts';
import { openDataPlane } from '../../cache/rpc/client.ts';
import type { EntryKind } from '../../cache/store-index/store-index.ts';
import { exportTar } from '../../cache/tar/export.ts';
import { importTar, type Compression, type ImportedTar } from '../../cache/tar/import.ts';
import { stackLayers } from '../../cache/tar/layer.ts';
import { compressionOf, readArchive, STDIO, writeArchive } from '../cache/archive-file.ts';
import { findTree } from '../cache/entry-tree.ts';
import { openCache, type CacheLink } from '../cache/open.ts';
import { EXIT, UsageError } from '../exit.ts';
import { printJson, printLines, say, status, type Session } from '../session.ts';
import { count, formatBytes } from '../view/format.ts';

export type ExportOptions = {
  readonly file: string;
  readonly kind?: EntryKind;
  readonly scope?: string;
  readonly compression?: Compression;
  readonly layer?: boolean;
  readonly base?: string;
};

/** Writes a tree, or what an entry stands for, as an archive: the same bytes for the same tree. */
export async function exportCommand(session: Session, what: string, options: ExportOptions): Promise<number> {
  const { file, kind, base } = options;
  if (file === STDIO && session.json) throw new UsageError('The archive and JSON cannot both go to standard output', 'Name a file.');
  if (base !== undefined && options.layer !== true) throw new UsageError('--base goes with --layer');
  const below = base === undefined ? EMPTY_DIGEST : parseDigest(base);
  if (below === undefined)
    throw new UsageError(`--base is "${base}"`, 'Give the digest of the root of a tree, as "cache import" prints it.');
  const compression = options.compression ?? compressionOf(file);
  using cache = await openCache(session, options.scope);
  await using data = dataOf(session, cache);
  const { root, store, entry } = await findTree(cache, data.store, what, kind, session.signal);
  const archive = exportTar(root, store, { compression, ...(options.layer === true ? { base: below } : {}) }, session.signal);
  using doing = status(session);
  const length = await writeArchive(file, counted(archive.bytes, 'Writing', doing), session.terminal).catch(missing(what));
  const { digest, diffId } = archive.result();
  if (session.json) {
    const named = entry === undefined ? {} : { kind: entry.at.kind, scope: entry.at.owner.scope, key: entry.at.key };
    printJson(session, { root, ...named, file, bytes: length, compression, digest: oci(digest), diffId: oci(diffId) });
  } else {
    const lines = [`${file}: ${formatBytes(length)} of the tree ${root}`, ...layerLines(options.layer, digest, diffId)];
    if (file === STDIO) for (const line of lines) say(session, line);
    else printLines(session, lines);
  }
  return EXIT.ok;
}

function missing(what: string): (error: unknown) => never {
  return (error) => {
    if (!(error instanceof Fault) || error.code !== 'BLOB_UNKNOWN') throw error;
    throw new Fault('BLOB_UNKNOWN', `${what}: ${error.message}, or not in a scope that you read`, {
      hint: 'A digest must name the root directory of a tree; "switchyard cache verify" says which entries are not whole.',
      cause: error,
    });
  };
}

export type ImportOptions = { readonly key?: string; readonly layers?: boolean; readonly skipSpecial?: boolean; readonly scope?: string };

/** Reads an archive, or the layers of an image from the lowest on, into the cache as a tree. */
export async function importCommand(session: Session, files: readonly string[], options: ImportOptions): Promise<number> {
  if (files.length > 1 && options.layers !== true) {
    throw new UsageError(
      'Several archives are several trees',
      'Import them one by one, or say --layers where they are layers of one image.',
    );
  }
  const sources = [];
  for (const file of files) sources.push({ file, bytes: await readArchive(file, session.terminal, process.stdin) });
  using cache = await openCache(session, options.scope);
  await using data = dataOf(session, cache);
  await using spool = await spoolDir();
  using doing = status(session);
  const read: ImportedTar[] = [];
  for (const { file, bytes } of sources) {
    const to = {
      store: data.store,
      spoolDir: spool.path,
      layer: options.layers === true,
      special: options.skipSpecial === true ? 'skip' : 'refuse',
    } as const;
    read.push(await importTar(counted(bytes, `Reading ${file}:`, doing), to, session.signal));
  }
  const [only] = read;
  if (only === undefined) throw new UsageError('Name an archive');
  const tree = options.layers === true ? await stackLayers(read, data.store, session.signal) : only;
  const put = options.key === undefined ? undefined : await name(cache, data.store, tree.root, options.key, session.signal);
  doing.say('');
  const archives = read.map(({ digest, diffId, compression, skippedCount }, index) => {
    return { file: files[index], compression, digest: oci(digest), diffId: oci(diffId), skippedCount };
  });
  const { root, fileCount, bytes } = tree;
  if (session.json) printJson(session, { root, scope: cache.scope, fileCount, bytes, key: options.key, outcome: put?.kind, archives });
  else {
    const skipped = read.reduce((sum, one) => sum + one.skippedCount, 0);
    if (skipped > 0) say(session, `${count(skipped, 'device')} or the like ${skipped === 1 ? 'was' : 'were'} left out`);
    printLines(session, [`${root}: ${count(fileCount, 'file')}, ${formatBytes(bytes)}, in ${cache.scope}`, ...keptLines(put, options.key)]);
  }
  return put?.kind === 'differs' ? EXIT.failed : EXIT.ok;
}

/** Gives the tree a name in the caller's scope: an entry of the kind `layer`, which builds do not look for. */
async function name(
  { admin, instanceName, project, scope }: CacheLink,
  store: BlobStore,
  root: Digest,
  key: string,
  signal: AbortSignal,
): Promise<Put> {
  const { tree, message, bytes } = await wholeTree(root, blobReader(store), signal);
  await store.put(tree, message, signal);
  const outputs = [{ kind: 'directory', path: '', tree, root, bytes }] as const;
  const value = encodeStepResult({ exitCode: 0, outputs, log: undefined, usage: NO_USAGE, agent: '', startedAt: 0, endedAt: 0 });
  const at = { kind: 'layer', owner: { project, scope }, key } as const;
  return await admin.put(instanceName, { at, value, parts: [], provenance: NO_PROVENANCE, writtenAt: 0 }, signal);
}

function keptLines(put: Put | undefined, key = ''): readonly string[] {
  if (put === undefined) return ['Without --key nothing refers to it: it goes when it was not used for as long as such blobs are kept.'];
  if (put.kind === 'kept') return [`Kept as layer ${key}`];
  if (put.kind === 'same') return [`layer ${key} was the same already`];
  return [`layer ${key} is another tree already, and stays: take another key, or purge that one`];
}

function layerLines(isLayer: boolean | undefined, digest: Digest, diffId: Digest): readonly string[] {
  return isLayer === true ? [`digest ${oci(digest)}, ${sizeOf(digest)} bytes`, `diffID ${oci(diffId)}`] : [];
}

/** A digest as images name it. */
function oci(digest: Digest): string {
  return `sha256:${hashOf(digest)}`;
}

function dataOf({ terminal }: Session, { view, server, instanceName }: CacheLink) {
  const link = { ...server.link, address: view.dataAddress };
  return openDataPlane({ link, instanceName, env: { log: terminal.log, clock: terminal.clock } });
}

async function* counted(source: AsyncIterable<Uint8Array>, doing: string, line: { say(text: string): void }): AsyncGenerator<Uint8Array> {
  let length = 0;
  for await (const chunk of source) {
    length += chunk.byteLength;
    line.say(`${doing} ${formatBytes(length)} …`);
    yield chunk;
  }
}

async function spoolDir(): Promise<{ readonly path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), 'switchyard-import-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}
