import fs from 'node:fs';
import type { Clock } from '../base/clock.ts';

/** Files that are remembered at once, some 200 bytes each; the one remembered longest ago gives way. */
const FILES_MAX = 20_000;
/**
 * A file that changed within this time of being hashed is not remembered: a second change within the same tick of the file
 * system's clock (10 ms at most) would leave its times as they are.
 */
const SETTLED_MS = 100;

/**
 * The files that this process has found to match their names' digests and that have not changed since, as far as device, inode,
 * size and both times of the open file tell. Whoever writes into a file, or puts another in its place, changes one of these;
 * so does each use that is written to the file's time, at most every 30 s: a file in use is hashed again as often.
 */
export class HashedFiles {
  readonly #clock: Clock;
  readonly #filesMax: number;
  readonly #known = new Map<string, string>();

  constructor(clock: Clock, filesMax = FILES_MAX) {
    this.#clock = clock;
    this.#filesMax = filesMax;
  }

  /**
   * Gives a file that was just written, and hashed meanwhile, a time that says any later change at once: the clocks of file systems
   * count nanoseconds, and meet a whole millisecond once in many thousand times. For `noteMarked`; undefined where that cannot be done.
   */
  mark(fd: number): Marked | undefined {
    try {
      const now = Math.floor(this.#clock.now()) / 1_000;
      fs.futimesSync(fd, now, now);
    } catch {
      return undefined; // it is hashed when it is read
    }
    return statOf(fd);
  }

  /** The file that was marked has its name by now, unless another one has. */
  noteMarked(name: string, file: string, marked: Marked | undefined): void {
    if (marked === undefined) return;
    const stat = fs.statSync(file, { bigint: true, throwIfNoEntry: false });
    if (stat?.ino === marked.ino && stat.dev === marked.dev && stat.mtimeNs === marked.mtimeNs) this.note(name, identityOf(stat));
  }

  /** Whether the open file looks as it did when it was last noted under this name. */
  has(name: string, fd: number): boolean {
    const known = this.#known.get(name);
    if (known === undefined) return false;
    const stat = statOf(fd);
    return stat !== undefined && known === identityOf(stat);
  }

  /** What the open file looks like before it is hashed, for `note`; undefined where that says too little. */
  look(fd: number): string | undefined {
    const stat = statOf(fd);
    if (stat === undefined) return undefined;
    return this.#clock.now() - Number(stat.ctimeNs / 1_000_000n) < SETTLED_MS ? undefined : identityOf(stat);
  }

  /** The file that looked so was read to its end and matched. */
  note(name: string, looked: string | undefined): void {
    if (looked === undefined) return;
    this.#known.delete(name);
    this.#known.set(name, looked);
    for (const oldest of this.#known.keys()) {
      if (this.#known.size <= this.#filesMax) return;
      this.#known.delete(oldest);
    }
  }
}

/** What a file was before it got its name, which changes one of its times. */
type Marked = Pick<fs.BigIntStats, 'dev' | 'ino' | 'mtimeNs'>;

function statOf(fd: number): fs.BigIntStats | undefined {
  try {
    return fs.fstatSync(fd, { bigint: true });
  } catch {
    return undefined; // reading it will say what is wrong
  }
}

function identityOf({ dev, ino, size, mtimeNs, ctimeNs }: fs.BigIntStats): string {
  return `${dev}:${ino}:${size}:${mtimeNs}:${ctimeNs}`;
}
