import type { KeyId } from '../../base/signing.ts';
import type { LruDir } from '../lru-dir.ts';
import type { EntryKey } from '../store-index/store-index.ts';
import type { Entry } from './entry-store.ts';
import type { RecordCodec } from './reader.ts';

/** Bytes of values that are kept, with what an entry takes beside its value; what was asked for longest ago gives way. */
const BYTES_MAX = 64 * 1024 * 1024;
const OVERHEAD_BYTES = 2 * 1024;
/** Larger values are read each time. */
const VALUE_BYTES_MAX = 1024 * 1024;

type Kept = { readonly entry: Entry; readonly name: string; readonly keyId: KeyId; readonly epoch: number; readonly bytes: number };

/**
 * Entries whose records were read and verified, so that one that is asked for again costs no look at the disk. Believed for as long as
 * their files are (`LruDir.believed`), while nobody has replaced them since (`LruDir.epochOf`) and the key that signed them verifies.
 */
export class KeptEntries {
  readonly #files: LruDir;
  readonly #codec: RecordCodec;
  readonly #bytesMax: number;
  /** What was asked for longest ago first. */
  readonly #kept = new Map<string, Kept>();
  #bytes = 0;

  constructor(files: LruDir, codec: RecordCodec, bytesMax = BYTES_MAX) {
    this.#files = files;
    this.#codec = codec;
    this.#bytesMax = bytesMax;
  }

  /** As of the last `catchUp` of the files. An entry that is found counts as used just now; undefined says nothing. */
  find(partition: string, at: EntryKey): Entry | undefined {
    const place = placeOf(partition, at);
    const kept = this.#kept.get(place);
    if (kept === undefined) return undefined;
    this.#kept.delete(place);
    const holds = kept.epoch === this.#files.epochOf(kept.name) && this.#codec.knows(kept.keyId);
    if (!holds || this.#files.believed(partition, kept.name) === undefined) {
      this.#bytes -= kept.bytes;
      return undefined;
    }
    this.#kept.set(place, kept);
    return kept.entry;
  }

  /** Keeps what was just read from the file of that name, with no turn passed since the last `catchUp`. */
  keep(partition: string, name: string, { entry, keyId }: { readonly entry: Entry; readonly keyId: KeyId }): void {
    const epoch = this.#files.epochOf(name);
    if (epoch === undefined || entry.value.byteLength > VALUE_BYTES_MAX) return;
    const place = placeOf(partition, entry.at);
    const bytes = entry.value.byteLength + OVERHEAD_BYTES;
    this.#bytes += bytes - (this.#kept.get(place)?.bytes ?? 0);
    this.#kept.delete(place);
    this.#kept.set(place, { entry, name, keyId, epoch, bytes });
    for (const [oldest, { bytes: gone }] of this.#kept) {
      if (this.#bytes <= this.#bytesMax) break;
      this.#kept.delete(oldest);
      this.#bytes -= gone;
    }
  }
}

function placeOf(partition: string, { kind, key }: EntryKey): string {
  return `${partition}/${kind}/${key}`;
}
