import { randomFillSync } from 'node:crypto';
import fs from 'node:fs';
import type { Env } from '../base/env.ts';
import { codeOf } from '../base/thrown.ts';

const MARK_BYTES = 8;
/** By the first two characters of a name, which spread well. */
const MARKS = 256;
/** How often it is looked whether the file still has its name: somebody may have emptied the directory by hand. */
const NAME_MS = 1_000;

/**
 * What processes that share a directory tell one another of files that are gone or have become others: a file of 256 marks, each for
 * the names that begin alike, and each with eight random bytes that are others after every change. Who removes or replaces a file
 * changes its mark when that is done, before telling anybody; and before it begins too, so that a process that is killed in the
 * middle leaves nobody with a belief. Who reads the mark, then looks at a file, and reads the same mark later, knows the file to be
 * as it was seen: what was done in between would have changed the mark.
 *
 * Costs a read of 2 KiB for any number of files. Where marks cannot be written, their file is removed, and where it cannot be opened
 * nothing is ever believed.
 */
export class RemovalMarks {
  readonly #path: string;
  readonly #temporary: () => string;
  readonly #env: Env;
  /** As last read. */
  #known = Buffer.alloc(MARKS * MARK_BYTES);
  #read = Buffer.alloc(MARKS * MARK_BYTES);
  /** How often each mark was seen to be another. */
  readonly #epochs = new Float64Array(MARKS);
  #file: { readonly fd: number; readonly dev: number; readonly ino: number } | undefined;
  #namedAt = Number.NEGATIVE_INFINITY;

  /**
   * @param path of the file, which is made where there is none
   * @param temporary a free name on the same disk, another one each time
   */
  constructor(path: string, temporary: () => string, env: Env) {
    this.#path = path;
    this.#temporary = temporary;
    this.#env = env;
    this.#open();
  }

  /** Reads the marks. What `epochOf` tells from now on is right for all that was removed or replaced until now. */
  catchUp(): void {
    const now = this.#env.clock.monotonic();
    if (now - this.#namedAt >= NAME_MS && !this.#isNamed()) this.#open();
    if (this.#file === undefined) return;
    let length = 0;
    try {
      length = fs.readSync(this.#file.fd, this.#read, 0, this.#read.byteLength, 0);
    } catch (error) {
      this.#forget(error);
      return;
    }
    if (length < this.#read.byteLength) this.#read.fill(0, length); // cut by hand
    if (!this.#read.equals(this.#known)) this.#take();
  }

  /** Which belief holds for a name: one from another epoch is none. Undefined where none can. */
  epochOf(name: string): number | undefined {
    return this.#file === undefined ? undefined : this.#epochs[markOf(name)];
  }

  /** Tells others, and this process at its next `catchUp`, that the file of that name has changed, or is about to. Never throws. */
  change(name: string): void {
    if (!this.#isNamed()) this.#open();
    if (this.#file === undefined) return;
    try {
      const mark = randomFillSync(Buffer.allocUnsafe(MARK_BYTES));
      fs.writeSync(this.#file.fd, mark, 0, MARK_BYTES, markOf(name) * MARK_BYTES);
    } catch (error) {
      // Others see within a second that it is gone, and believe nothing that they saw before.
      fs.rmSync(this.#path, { force: true });
      this.#forget(error);
    }
  }

  /** Closes the file; whoever needs it again opens it again. */
  [Symbol.dispose](): void {
    if (this.#file !== undefined) fs.closeSync(this.#file.fd);
    this.#file = undefined;
  }

  /** Begins a new epoch of each mark that has changed. */
  #take(): void {
    for (let mark = 0; mark < MARKS; mark += 1) {
      const [start, end] = [mark * MARK_BYTES, (mark + 1) * MARK_BYTES];
      if (this.#read.compare(this.#known, start, end, start, end) !== 0) this.#epochs[mark] = (this.#epochs[mark] ?? 0) + 1;
    }
    [this.#known, this.#read] = [this.#read, this.#known];
  }

  /** Whether the open file is the one that others open. */
  #isNamed(): boolean {
    this.#namedAt = this.#env.clock.monotonic();
    if (this.#file === undefined) return false;
    const stat = statOf(this.#path);
    return stat?.ino === this.#file.ino && stat.dev === this.#file.dev;
  }

  /** Opens the file that has the name now, or makes it. Nothing that was believed before holds any more. */
  #open(): void {
    this[Symbol.dispose]();
    this.#epochs.forEach((epoch, mark) => (this.#epochs[mark] = epoch + 1));
    try {
      const fd = openOrMake(this.#path, this.#temporary());
      const { dev, ino } = fs.fstatSync(fd);
      this.#file = { fd, dev, ino };
    } catch (error) {
      this.#env.log.debug('removal-marks-not-opened', { file: this.#path, error }); // slower, and right
    }
  }

  #forget(error: unknown): void {
    this.#env.log.warn('removal-marks-failed', { file: this.#path, error });
    this[Symbol.dispose]();
  }
}

/** Two hexadecimal digits name one of their own; the few names that begin otherwise share some. */
function markOf(name: string): number {
  return (digitOf(name.charCodeAt(0)) * 16 + digitOf(name.charCodeAt(1))) & (MARKS - 1);
}

function digitOf(code: number): number {
  return code < 97 ? code - 48 : code - 87; // `0` is 48, `a` is 97
}

/** The file appears whole, with its room on the disk: a mark can be written on a full one too. */
function openOrMake(path: string, own: string): number {
  const had = openIfThere(path);
  if (had !== undefined) return had;
  try {
    fs.writeFileSync(own, Buffer.alloc(MARKS * MARK_BYTES), { flag: 'wx', mode: 0o600 });
    try {
      fs.linkSync(own, path);
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') throw error;
    }
  } finally {
    fs.rmSync(own, { force: true });
  }
  return fs.openSync(path, 'r+');
}

function openIfThere(path: string): number | undefined {
  try {
    return fs.openSync(path, 'r+');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

function statOf(path: string): fs.Stats | undefined {
  try {
    return fs.statSync(path, { throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}
