import type { Clock, TimeMs } from '../../base/clock.ts';
import { Fault } from '../../base/fault.ts';
import { referencesOf, type References } from '../action/references.ts';
import { ByteBudget } from '../byte-budget.ts';
import { sizeOf, type Digest } from '../digest.ts';
import { NO_PROVENANCE, type Entry, type EntryStore, type KeyPart } from '../entries/entry-store.ts';
import { blobReader } from '../read-blob.ts';
import { scopeWritten, type StoreOf, type StoreView } from '../store-view.ts';
import { WireWriter } from '../wire/wire.ts';
import { writeDigest } from '../wire/digest.ts';

export type ToolEntriesOptions = {
  readonly storeOf: StoreOf;
  /** Complete entries only. */
  readonly complete: EntryStore;
  /** The same entries, complete or not. */
  readonly raw: EntryStore;
  readonly clock: Clock;
};

/** What a tool keeps under a key. */
export type ToolEntry = {
  readonly body: Digest;
  /** Headers that go back with the body. */
  readonly headers: readonly KeyPart[];
  /** Blobs that the body names, without which it is not there. */
  readonly needs: References;
  readonly writtenAt: TimeMs;
};

/** Bytes of blobs that are held in memory as a whole at once, and of the largest one of them. */
const WHOLE_BYTES_MAX = 64 * 1024 * 1024;
const NO_NEEDS: References = { files: [], trees: [] };

/**
 * What build tools keep over HTTP, as entries of the kind `tool`: bodies under keys of the tool's own choice, in the caller's scope. An
 * entry's value is a REAPI ActionResult whose first output file is the body, so that completeness, garbage collection and purges see
 * nothing new.
 */
export class ToolEntries {
  readonly #options: ToolEntriesOptions;
  readonly #whole = new ByteBudget(WHOLE_BYTES_MAX);

  constructor(options: ToolEntriesOptions) {
    this.#options = options;
  }

  /** What the nearest scope that the view reads has under the key, with all that it needs there. */
  async find({ project, reads }: StoreView, key: string, signal: AbortSignal): Promise<ToolEntry | undefined> {
    const entry = await this.#options.complete.get('tool', project, reads, key, signal);
    return entry === undefined ? undefined : toolEntryOf(entry);
  }

  /** Whether the scope that the view writes has something under the key. @throws {Fault} FORBIDDEN */
  async has(view: StoreView, key: string, signal: AbortSignal): Promise<boolean> {
    return (await this.#options.complete.get('tool', view.project, [scopeWritten(view)], key, signal)) !== undefined;
  }

  /** Whether the key is there, which counts as a use, without a look at what it needs. */
  async isNamed({ project, reads }: StoreView, key: string, signal: AbortSignal): Promise<boolean> {
    return (await this.#options.raw.get('tool', project, reads, key, signal)) !== undefined;
  }

  /**
   * Keeps a body that the view's store has. Whether it is kept: without `replace` an earlier one stays.
   * @throws {Fault} FORBIDDEN, BAD_REQUEST; as `EntryStore.put`
   */
  async keep(
    view: StoreView,
    key: string,
    { body, headers = [], needs = NO_NEEDS }: Pick<ToolEntry, 'body'> & Partial<Pick<ToolEntry, 'headers' | 'needs'>>,
    { replace }: { readonly replace: boolean },
    signal: AbortSignal,
  ): Promise<boolean> {
    const entry: Entry = {
      at: { kind: 'tool', owner: { project: view.project, scope: scopeWritten(view) }, key },
      value: encodeValue(body, needs),
      parts: headers,
      provenance: { ...NO_PROVENANCE, caller: view.producer },
      writtenAt: this.#options.clock.now(),
    };
    return (await this.#options.complete.put(entry, { replace }, signal)).kind === 'kept';
  }

  /** Takes it out of the scope that the view writes; whether it was there. @throws {Fault} FORBIDDEN */
  async drop(view: StoreView, key: string, signal: AbortSignal): Promise<boolean> {
    return this.#options.complete.drop({ kind: 'tool', owner: { project: view.project, scope: scopeWritten(view) }, key }, signal);
  }

  /** The bytes of a blob for the view. The first ones are there once this returns: what is missing is known by then. */
  async open(view: StoreView, digest: Digest, signal: AbortSignal): Promise<AsyncIterable<Uint8Array>> {
    const chunks = this.#options.storeOf(view).get(digest, undefined, signal)[Symbol.asyncIterator]();
    const first = await chunks.next();
    return resumed(first, chunks);
  }

  /** What `read` makes of a whole blob, which is held for no longer. @throws {Fault} TOO_LARGE beyond 64 MiB; as `open`; what `read` throws */
  async readWhole<T>(view: StoreView, digest: Digest, read: (bytes: Uint8Array) => T, signal: AbortSignal): Promise<T> {
    using _ = await this.#whole.take(sizeOf(digest), signal);
    return read(await blobReader(this.#options.storeOf(view), WHOLE_BYTES_MAX)(digest, signal));
  }

  /** Stores a blob for the view. @throws {Fault} FORBIDDEN; as `BlobStore.put` */
  async store(view: StoreView, digest: Digest, source: AsyncIterable<Uint8Array> | Uint8Array, signal: AbortSignal): Promise<void> {
    scopeWritten(view);
    await this.#options.storeOf(view).put(digest, source, signal);
  }
}

async function* resumed(
  first: IteratorResult<Uint8Array, unknown>,
  rest: AsyncIterator<Uint8Array>,
): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    for (let next = first; next.done !== true; next = await rest.next()) yield next.value;
  } finally {
    await rest.return?.();
  }
}

function encodeValue(body: Digest, { files, trees }: References): Uint8Array {
  const writer = new WireWriter();
  for (const [index, digest] of [body, ...files].entries()) {
    writer.message(2, (file) => {
      file.string(1, index === 0 ? 'body' : `needs/${index}`);
      writeDigest(file, 2, digest);
    });
  }
  for (const [index, { tree, root }] of trees.entries()) {
    writer.message(3, (directory) => {
      directory.string(1, `trees/${index}`);
      writeDigest(directory, 3, tree);
      if (root !== undefined) writeDigest(directory, 5, root);
    });
  }
  return writer.finish();
}

function toolEntryOf({ at, value, parts: headers, writtenAt }: Entry): ToolEntry {
  const { files, trees } = referencesOf(value);
  const [body, ...rest] = files;
  if (body === undefined) throw new Fault('STORE_UNAVAILABLE', `The entry ${at.key} in ${at.owner.scope} has no body`);
  return { body, headers, needs: { files: rest, trees }, writtenAt };
}
