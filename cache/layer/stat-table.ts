import fs from 'node:fs';
import path from 'node:path';
import { Turns } from '../../base/turns.ts';
import type { Digest } from '../digest.ts';
import type { DirectoryReader } from '../tree/directory-reader.ts';

/** Numbers kept of each file: inode, size, and the times of content and inode in nanoseconds. */
const COLUMNS = 4;
const INODE = 0;
const SIZE = 1;
const MTIME = 2;
const CTIME = 3;
const FIRST_ROWS = 1_024;
const ENTRIES_PER_TURN = 256;

/** Time within which two changes of a file may carry the same time stamp, on the coarsest file systems. */
const COARSE_MS = 2_000;
/** The same where times are seen to have parts of a millisecond: a few ticks of the kernel's clock. */
const FINE_MS = 50;

/**
 * What `lstat` said of the files of a tree when it was put somewhere: tells later, without reading them, which ones nobody has changed.
 * Takes 32 bytes a file.
 */
export class StatTable {
  #rows = new BigUint64Array(FIRST_ROWS * COLUMNS);
  #count = 0;
  #device = 0n;
  #bytes = 0;
  /** Where the rows of a directory's files begin: these are in the order of its message. */
  readonly #directories = new Map<string, number>();
  #sealedAtMs = Number.NEGATIVE_INFINITY;
  #granularityMs = COARSE_MS;

  get fileCount(): number {
    return this.#count;
  }

  /** Of all files. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Begins a directory; its files follow by `add`, in the order of their names. */
  begin(directory: string): void {
    this.#directories.set(directory, this.#count);
  }

  add(stat: fs.BigIntStats): void {
    if ((this.#count + 1) * COLUMNS > this.#rows.length) {
      const grown = new BigUint64Array(this.#rows.length * 2);
      grown.set(this.#rows);
      this.#rows = grown;
    }
    const at = this.#count * COLUMNS;
    this.#rows[at + INODE] = stat.ino;
    this.#rows[at + SIZE] = stat.size;
    this.#rows[at + MTIME] = stat.mtimeNs;
    this.#rows[at + CTIME] = stat.ctimeNs;
    if (stat.ctimeNs % 1_000_000n !== 0n) this.#granularityMs = FINE_MS;
    this.#device = stat.dev;
    this.#bytes += Number(stat.size);
    this.#count += 1;
  }

  /**
   * From now on, by the clock that the file system uses, others may write. A file whose time stamp is so young that a change could carry
   * the same one is never believed.
   */
  seal(nowMs: number): void {
    this.#sealedAtMs = nowMs;
  }

  /** Whether the file at that place of the directory is surely what it was. */
  isSame(directory: string, index: number, stat: fs.BigIntStats): boolean {
    const first = this.#directories.get(directory);
    if (first === undefined || first + index >= this.#count) return false;
    const at = (first + index) * COLUMNS;
    if (this.#rows[at + INODE] !== stat.ino || this.#rows[at + SIZE] !== stat.size || this.#device !== stat.dev) return false;
    if (this.#rows[at + MTIME] !== stat.mtimeNs || this.#rows[at + CTIME] !== stat.ctimeNs) return false;
    const changedMs = Number((stat.mtimeNs > stat.ctimeNs ? stat.mtimeNs : stat.ctimeNs) / 1_000_000n);
    return changedMs + this.#granularityMs < this.#sealedAtMs;
  }
}

/** The table of the tree `root`, which was just put at `top` and which nobody else has written yet. */
export async function statTree(top: string, root: Digest, reader: DirectoryReader, signal: AbortSignal): Promise<StatTable> {
  const table = new StatTable();
  const turns = new Turns(ENTRIES_PER_TURN);
  const waiting = [{ at: '', digest: root }];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const { at, digest } = next;
    const directory = await reader.one(digest, signal);
    table.begin(at);
    for (const file of directory.files) {
      await turns.take();
      table.add(fs.lstatSync(path.join(top, at, file.name), { bigint: true }));
    }
    for (const child of directory.directories) waiting.push({ at: at === '' ? child.name : `${at}/${child.name}`, digest: child.digest });
  }
  return table;
}
