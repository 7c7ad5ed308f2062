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
