import { unreachable } from '../../base/assert.ts';
import { sizeOf } from '../../cache/digest.ts';
import type { Digest } from '../../cache/digest.ts';
import { ownerOf, ROW_CLASSES, type RowChange, type RowClass, type StoredRow } from './codec.ts';
import type { LogRecord, StoredLog } from './ledger.ts';

type LogRows = {
  readonly build: string;
  readonly segments: Map<number, Digest>;
  readonly chunks: Map<number, Uint8Array>;
  sealed: { readonly digest: Digest; readonly truncated: boolean } | undefined;
};

const BATCH_ROWS = 256;

/** The rows of a ledger as maps: what the tables of the durable ones are. */
export class MemoryRows {
  readonly #classes: Readonly<Record<RowClass, Map<string, string>>> = {
    build: new Map(),
    'build-state': new Map(),
    'step-spec': new Map(),
    step: new Map(),
    session: new Map(),
    hold: new Map(),
    topology: new Map(),
  };
  /** By build, then by sequence number. */
  readonly #events = new Map<string, Map<number, string>>();
  readonly #logs = new Map<string, LogRows>();

  apply(changes: readonly RowChange[]): void {
    for (const change of changes) this.#applyOne(change);
  }

  /** Rows of builds without a build record: what is left of a submission that broke off. */
  dropOrphans(): void {
    const builds = this.#classes.build;
    for (const rowClass of ROW_CLASSES) {
      for (const key of this.#classes[rowClass].keys()) {
        const owner = ownerOf(rowClass, key);
        if (owner !== undefined && !builds.has(owner)) this.#classes[rowClass].delete(key);
      }
    }
    for (const build of this.#events.keys()) if (!builds.has(build)) this.#events.delete(build);
    for (const [token, log] of this.#logs) if (!builds.has(log.build)) this.#logs.delete(token);
  }

  /** The rows of one build, its own first; none where the build itself is not there. */
  ofBuild(build: string): readonly StoredRow[] {
    if (!this.#classes.build.has(build)) return [];
    return ROW_CLASSES.flatMap((rowClass) =>
      [...this.#classes[rowClass]]
        .filter(([key]) => ownerOf(rowClass, key) === build)
        .toSorted(([left], [right]) => (left < right ? -1 : 1))
        .map(([key, body]) => ({ class: rowClass, key, body })),
    );
  }

  /** All keyed rows that are not orphans, in the order of `ROW_CLASSES` and by key. */
  *batches(): Iterable<readonly StoredRow[]> {
    const builds = this.#classes.build;
    for (const rowClass of ROW_CLASSES) {
      const rows: StoredRow[] = [];
      for (const [key, body] of this.#classes[rowClass]) {
        const owner = ownerOf(rowClass, key);
        if (owner === undefined || builds.has(owner)) rows.push({ class: rowClass, key, body });
      }
      rows.sort((left, right) => (left.key < right.key ? -1 : 1));
      for (let from = 0; from < rows.length; from += BATCH_ROWS) yield rows.slice(from, from + BATCH_ROWS);
    }
  }

  events(build: string, afterSeq: number, limit: number): readonly { readonly seq: number; readonly body: string }[] {
    const rows = [...(this.#events.get(build) ?? [])].filter(([seq]) => seq > afterSeq).toSorted(([left], [right]) => left - right);
    return rows.slice(0, limit).map(([seq, body]) => ({ seq, body }));
  }

  log(token: string): StoredLog | undefined {
    const log = this.#logs.get(token);
    if (log === undefined) return undefined;
    return {
      segments: byOffset(log.segments).map(([offset, digest]) => ({ offset, digest })),
      chunks: byOffset(log.chunks).map(([offset, bytes]) => ({ offset, bytes })),
      sealed: log.sealed,
    };
  }

  #applyOne(change: RowChange): void {
    switch (change.kind) {
      case 'put':
        this.#classes[change.class].set(change.key, change.body);
        return;
      case 'drop':
        this.#classes[change.class].delete(change.key);
        return;
      case 'event': {
        const events = this.#events.get(change.build) ?? new Map<number, string>();
        this.#events.set(change.build, events.set(change.seq, change.body));
        return;
      }
      case 'forget':
        this.#forget(change.build);
        return;
      case 'log-chunk':
      case 'log-segment':
      case 'log-sealed':
      case 'log-forgotten':
        this.#applyLog(change);
        return;
      default:
        unreachable(change);
    }
  }

  #applyLog(change: LogRecord): void {
    if (change.kind === 'log-forgotten') {
      this.#logs.delete(change.token);
      return;
    }
    const log = this.#logs.get(change.token) ?? { build: change.build, segments: new Map(), chunks: new Map(), sealed: undefined };
    this.#logs.set(change.token, log);
    switch (change.kind) {
      case 'log-chunk':
        log.chunks.set(change.offset, change.bytes);
        return;
      case 'log-segment': {
        const end = change.offset + sizeOf(change.digest);
        log.segments.set(change.offset, change.digest);
        for (const [offset, bytes] of log.chunks) if (offset + bytes.byteLength <= end) log.chunks.delete(offset);
        return;
      }
      case 'log-sealed':
        log.chunks.clear();
        log.segments.clear();
        log.sealed = { digest: change.digest, truncated: change.truncated };
        return;
      default:
        unreachable(change);
    }
  }

  #forget(build: string): void {
    for (const rowClass of ROW_CLASSES) {
      for (const key of this.#classes[rowClass].keys()) if (ownerOf(rowClass, key) === build) this.#classes[rowClass].delete(key);
    }
    this.#events.delete(build);
    for (const [token, log] of this.#logs) if (log.build === build) this.#logs.delete(token);
  }
}

function byOffset<T>(rows: ReadonlyMap<number, T>): [number, T][] {
  return [...rows].toSorted(([left], [right]) => left - right);
}
