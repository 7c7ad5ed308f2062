import { hash, randomBytes } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Env } from '../base/env.ts';
import { codeOf } from '../base/thrown.ts';
import { Fault } from '../base/fault.ts';
import { HashedFiles } from './hashed-files.ts';
import { LruIndex, type Oldest, type PartitionUsage } from './lru-index.ts';
import { RemovalMarks } from './removal-marks.ts';

/** Most that a partition may hold. */
export type PartitionLimit = { readonly bytes: number; readonly fileCount: number };

export type LruDirOptions = {
  readonly dir: string;
  /** Most bytes of all files together; what was used least goes first, of whoever has most: see `LruIndex.oldest`. */
  readonly limitBytes: number;
  /** Where a partition stands among the others: its name last, before it what it lies below. @default all side by side */
  readonly groupsOf?: (partition: string) => readonly string[];
  /** What a partition may hold at most; what it used least goes first, whatever room others leave. @default no bound of its own */
  readonly limitOf?: (partition: string) => PartitionLimit | undefined;
  /** Called for each file that is removed to make room or because nobody used it, not for those that somebody removes by name. */
  readonly onEvicted?: (partition: string, name: string, why: 'room' | 'unused') => void;
  /**
   * `process`: a file that was written survives the end of the process, however it ends. `power`: it survives loss of power
   * too (fdatasync of the file, fsync of its directory), at the price of two disk flushes each.
   */
  readonly durability: 'process' | 'power';
  /** Whether a file that was seen is believed to be there for half a minute: see `believed`. All who share the directory say the same. @default true */
  readonly believing?: boolean;
  readonly env: Env;
  /** Name of this host, or container: process ids mean nothing beyond it. @default the system's */
  readonly host?: string;
};

/** What a directory holds, as far as this process knows, and what this process took from it since it began. */
export type DirTotals = {
  readonly bytes: number;
  readonly limitBytes: number;
  readonly fileCount: number;
  readonly evicted: Readonly<Record<'room' | 'unused', number>>;
};

/**
 * A use is written to the file's time at most this often; it orders files across processes and restarts. For so long a file that was
 * seen is believed to be there, while its mark says so.
 */
const TOUCH_MS = 30_000;
/** Uses of a file that is believed to be there put it before others at most this often. */
const ORDER_MS = 1_000;
const UNLESS_ABSENT = { throwIfNoEntry: false } as const;
const TEMPORARY = '.tmp';
const REMOVALS = '.removals';
/** Temporary files of processes that cannot be asked (another host) count as left behind after this time. */
const STALE_MS = 3_600_000;

/**
 * Files by partition and name in a directory, bounded by bytes. A file appears under its name whole or not at all: it is
 * written under `.tmp/` and renamed. Several processes may share the directory: as to what is there each believes the disk, or its own
 * memory of half a minute as far as the marks in `.removals` bear it out (see `RemovalMarks`), and nothing is removed that another has
 * used since. A file that is open stays readable when it is removed. Names begin with two characters that spread well, hexadecimal
 * digits where they can; neither they nor partitions hold slashes.
 */
export class LruDir implements AsyncDisposable {
  /** Which files this process need not hash again. */
  readonly hashed: HashedFiles;
  readonly #options: LruDirOptions;
  /** Absolute, without a slash at its end. */
  readonly #dir: string;
  readonly #index: LruIndex;
  /** Undefined where nothing is believed. */
  readonly #marks: RemovalMarks | undefined;
  #isCaughtUp = false;
  readonly #turnEnds = () => {
    this.#isCaughtUp = false;
  };
  readonly #closing = new AbortController();
  readonly #evicted = { room: 0, unused: 0 };
  /** Directories whose own names are on the disk. */
  readonly #syncedBelow = new Set<string>();
  #writtenBytes = 0;
  #scan: Promise<void>;

  private constructor(options: LruDirOptions) {
    this.#options = options;
    this.#dir = path.resolve(options.dir);
    this.hashed = new HashedFiles(options.env.clock);
    this.#index = new LruIndex(options.groupsOf);
    if (options.believing !== false) this.#marks = new RemovalMarks(path.join(this.#dir, REMOVALS), () => this.#temporary(), options.env);
    this.#scan = this.#rescan();
  }

  /** Opens or makes the directory and removes what a killed process left half-written. @throws {Fault} STORE_UNAVAILABLE. */
  static open(options: LruDirOptions): LruDir {
    try {
      fs.mkdirSync(path.join(options.dir, TEMPORARY), { recursive: true, mode: 0o700 });
      removeLeftovers(path.join(options.dir, TEMPORARY), hostTag(options));
    } catch (error) {
      throw ioFault(error, options.dir);
    }
    return new LruDir(options);
  }

  /** Where a file is, or would be. */
  pathOf(partition: string, name: string): string {
    return `${this.#dir}/${partition}/${name.slice(0, 2)}/${name}`; // `path.join` would cost as much as looking there
  }

  /**
   * Before `believed`, once for any number of names: takes note of what other processes have removed and replaced until now. One look is
   * for all that is done before the process turns to its sockets again: whoever asks then had asked before the look.
   */
  catchUp(): void {
    if (this.#isCaughtUp) return;
    this.#isCaughtUp = true;
    queueMicrotask(this.#turnEnds);
    this.#marks?.catchUp();
  }

  /**
   * The file's size without a look at the disk, and it counts as used just now: where `use` saw it within half a minute and nobody had
   * removed or replaced it when `catchUp` was last called. Undefined says nothing: then `use` it.
   */
  believed(partition: string, name: string): number | undefined {
    const known = this.#index.find(partition, name);
    if (known?.seen === undefined || known.seen.epoch !== this.#marks?.epochOf(name)) return undefined;
    const now = this.#options.env.clock.now();
    const ageMs = now - known.seen.atMs;
    if (ageMs < 0 || ageMs > TOUCH_MS) return undefined; // less than nothing: the clock was set
    if (now - known.usedMs > ORDER_MS) this.#index.useAgain(partition, name, now + 1);
    return known.sizeBytes;
  }

  /** Which reading of a file holds: one of another epoch, made before, may be of what is gone. Undefined where none does. */
  epochOf(name: string): number | undefined {
    return this.#marks?.epochOf(name);
  }

  /** The file of that name is about to be replaced, and once more: has been. For those who keep what they read: see `epochOf`. */
  replaced(name: string): void {
    this.#marks?.change(name);
  }

  /** Somebody found no file under that name, whatever was believed: nobody else believes in it from now on. */
  notThere(partition: string, name: string): void {
    this.#index.remove(partition, name);
    this.#marks?.change(name);
  }

  /** The file's size, and it counts as used just now; undefined where there is none. */
  use(partition: string, name: string): number | undefined {
    const file = this.pathOf(partition, name);
    try {
      const stat = fs.lstatSync(file, UNLESS_ABSENT);
      if (stat === undefined) {
        this.#index.remove(partition, name);
        return undefined;
      }
      const now = this.#options.env.clock.now();
      const isStale = now - stat.mtimeMs > TOUCH_MS;
      if (isStale) fs.utimesSync(file, now / 1_000, now / 1_000);
      const epoch = this.#marks?.epochOf(name);
      const seen = epoch === undefined ? undefined : { atMs: isStale ? now : Math.min(now, stat.mtimeMs), epoch };
      this.#index.use(partition, name, stat.size, now + 1, true, seen);
      return stat.size;
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return undefined; // removed between the two calls
      throw ioFault(error, file);
    }
  }

  remove(partition: string, name: string): void {
    this.#marks?.change(name);
    fs.rmSync(this.pathOf(partition, name), { force: true });
    this.notThere(partition, name);
  }

  /** Names of the files of a partition that begin with these two characters, as the disk has them; in no order. */
  list(partition: string, prefix: string): readonly string[] {
    return namesIn(path.join(this.#options.dir, partition, prefix));
  }

  /** Names of all files of a partition, as the disk has them; in no order. */
  async *listAll(partition: string): AsyncGenerator<string, void, undefined> {
    for (const prefix of namesIn(path.join(this.#options.dir, partition))) {
      await nextTurn();
      yield* this.list(partition, prefix);
    }
  }

  /** Partitions that the disk has, empty ones too; in no order. */
  partitions(): readonly string[] {
    return namesIn(this.#options.dir).filter((name) => name !== TEMPORARY && name !== REMOVALS);
  }

  /** What a partition holds, as far as this process knows: see `scanned`. */
  usageOf(partition: string): PartitionUsage {
    return this.#index.usageOf(partition);
  }

  totals(): DirTotals {
    const { totalBytes: bytes, totalCount: fileCount } = this.#index;
    return { bytes, limitBytes: this.#options.limitBytes, fileCount, evicted: { ...this.#evicted } };
  }

  /** Removes what nobody has used since; how many files. */
  async evictUnused(sinceMs: number): Promise<number> {
    await this.#scan;
    let count = 0;
    for (const partition of this.#index.partitions()) {
      for (const oldest of this.#index.unusedIn(partition, sinceMs)) {
        if (this.#evict({ ...oldest, usedMs: sinceMs }, 'unused')) count += 1;
      }
      await nextTurn();
    }
    return count;
  }

  /**
   * Makes a file, or replaces it unless `ifAbsent`; whether it was made. `fill` writes it, through the descriptor, and throws where it
   * must not appear (a fault for errors of the disk: see `ioFault`).
   * @throws {Fault} STORE_FULL where `sizeBytes` do not fit; STORE_UNAVAILABLE; whatever `fill` throws.
   */
  async write(
    partition: string,
    name: string,
    sizeBytes: number,
    fill: (fd: number) => Promise<void> | void,
    { ifAbsent = false }: { readonly ifAbsent?: boolean } = {},
  ): Promise<boolean> {
    const { durability } = this.#options;
    using _ = await this.#makeRoom(partition, name, sizeBytes);
    const file = this.pathOf(partition, name);
    const temporary = this.#temporary();
    let renamed = false;
    let filling = false;
    try {
      const fd = fs.openSync(temporary, 'wx', 0o600);
      try {
        filling = true;
        await fill(fd);
        filling = false;
        if (durability === 'power')
          await new Promise<void>((done, failed) => fs.fdatasync(fd, (error) => (error === null ? done() : failed(error))));
      } finally {
        fs.closeSync(fd);
      }
      if (!moveInto(temporary, file, ifAbsent)) return false;
      renamed = !ifAbsent;
      if (durability === 'power') await this.#syncName(file);
    } catch (error) {
      throw filling || error instanceof Fault ? error : ioFault(error, file);
    } finally {
      if (!renamed) fs.rmSync(temporary, { force: true });
    }
    this.#index.use(partition, name, sizeBytes, this.#options.env.clock.now() + 1, true);
    this.#writtenBytes += sizeBytes;
    return true;
  }

  /** Until all that the disk had when this was opened is known. Nothing needs to wait for it. */
  async scanned(): Promise<void> {
    await this.#scan;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    await this.#scan;
    this.#marks?.[Symbol.dispose]();
  }

  /** A free name for a file that is being written by this process. */
  #temporary(): string {
    return `${this.#dir}/${TEMPORARY}/${hostTag(this.#options)}.${process.pid}.${randomBytes(8).toString('hex')}`;
  }

  /** Flushes the directory that has the file's name; those above it, which have not changed since, once. */
  async #syncName(file: string): Promise<void> {
    const [own = '', ...above] = parents(file, this.#options.dir);
    await syncDirectory(own);
    if (this.#syncedBelow.has(own)) return;
    for (const parent of above) await syncDirectory(parent);
    this.#syncedBelow.add(own);
  }

  /** Keeps room free for a write until disposed of, at the cost of what was used least. */
  async #makeRoom(partition: string, name: string, bytes: number): Promise<Disposable> {
    const { limitBytes, limitOf } = this.#options;
    const limit = limitOf?.(partition);
    const mostBytes = Math.min(limitBytes, limit?.bytes ?? limitBytes);
    if (bytes > mostBytes || limit?.fileCount === 0) throw noRoomAtAll(partition, bytes, limitBytes, limit);
    if (this.#writtenBytes > limitBytes / 16) {
      this.#writtenBytes = 0;
      this.#scan = this.#scan.then(() => this.#rescan());
    }
    const reservation = this.#index.reserve(partition, bytes, !this.#index.has(partition, name));
    const isOver = () => this.#index.totalBytes > limitBytes;
    const isOwnOver = () => limit !== undefined && exceeds(this.#index.usageOf(partition), limit);
    if (isOver() || isOwnOver()) {
      await this.#scan; // until then the index may not know what was used least
      while (isOwnOver() && this.#evictOne(this.#index.oldestIn(partition)));
      while (isOver() && this.#evictOne(this.#index.oldest(limitBytes)));
    }
    if (!isOver() && !isOwnOver()) return reservation;
    reservation[Symbol.dispose]();
    throw new Fault(
      'STORE_FULL',
      `The store has no room for ${bytes} more bytes of ${partition} beside what others keep (${limitBytes} in all)`,
    );
  }

  /** Whether there was something to remove. */
  #evictOne(oldest: Oldest | undefined): boolean {
    if (oldest !== undefined) this.#evict(oldest, 'room');
    return oldest !== undefined;
  }

  /** Whether it was removed. What was used after `usedMs`, by another process, goes to the end of the queue instead. */
  #evict({ partition, name, usedMs }: Oldest, why: 'room' | 'unused'): boolean {
    const file = this.pathOf(partition, name);
    let removed = false;
    try {
      const stat = fs.lstatSync(file, { throwIfNoEntry: false });
      if (stat !== undefined && stat.mtimeMs > usedMs) {
        this.#index.use(partition, name, stat.size, stat.mtimeMs, false);
        return false;
      }
      this.#marks?.change(name);
      fs.rmSync(file, { force: true });
      removed = stat !== undefined;
    } catch (error) {
      this.#options.env.log.warn('eviction-failed', { file, error });
    }
    this.notThere(partition, name);
    if (removed) {
      this.#evicted[why] += 1;
      this.#options.onEvicted?.(partition, name, why);
    }
    return removed;
  }

  /** Learns what is there from the disk: at start, and now and then because of other processes. Never rejects. */
  async #rescan(): Promise<void> {
    const { dir, env } = this.#options;
    try {
      const found: { partition: string; name: string; sizeBytes: number; usedMs: number }[] = [];
      for (const partition of fs.readdirSync(dir, { withFileTypes: true })) {
        if (!partition.isDirectory() || partition.name === TEMPORARY) continue;
        for (const prefix of fs.readdirSync(path.join(dir, partition.name))) {
          await nextTurn();
          if (this.#closing.signal.aborted) return;
          const parent = path.join(dir, partition.name, prefix);
          for (const name of fs.readdirSync(parent)) {
            const stat = fs.lstatSync(path.join(parent, name), { throwIfNoEntry: false });
            if (stat?.isFile() === true) found.push({ partition: partition.name, name, sizeBytes: stat.size, usedMs: stat.mtimeMs });
          }
        }
      }
      found.sort((a, b) => a.usedMs - b.usedMs);
      this.#index.learn(found);
      const { limitBytes } = this.#options;
      while (this.#index.totalBytes > limitBytes && this.#evictOne(this.#index.oldest(limitBytes)));
    } catch (error) {
      env.log.warn('cache-scan-failed', { dir, error });
    }
  }
}

/** Stands for this host in the names of temporary files. */
function hostTag({ host }: LruDirOptions): string {
  return hash('sha256', host ?? os.hostname(), 'hex').slice(0, 12);
}

function removeLeftovers(dir: string, here: string): void {
  const now = filesTime(dir, here);
  for (const name of fs.readdirSync(dir)) {
    const file = path.join(dir, name);
    const stat = fs.lstatSync(file, { throwIfNoEntry: false });
    if (stat === undefined) continue;
    const [host, writer] = name.split('.');
    if (now - stat.mtimeMs > STALE_MS || (host === here && !isAlive(Number(writer)))) fs.rmSync(file, { recursive: true, force: true });
  }
}

/**
 * What a file that is written now gets for its time: files are older than it by their age, whatever this host's clock says.
 * Before all time where nothing can be written.
 */
function filesTime(dir: string, here: string): number {
  const probe = path.join(dir, `${here}.${process.pid}.${randomBytes(8).toString('hex')}`);
  try {
    fs.writeFileSync(probe, '', { flag: 'wx', mode: 0o600 });
    return fs.lstatSync(probe).mtimeMs;
  } catch {
    return Number.NEGATIVE_INFINITY; // a full disk: readers are served all the same, and old leftovers wait
  } finally {
    fs.rmSync(probe, { force: true });
  }
}

function isAlive(pid: number): boolean {
  if (!Number.isSafeInteger(pid) || pid <= 0 || pid === process.pid) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return codeOf(error) === 'EPERM';
  }
}

/** Gives the file its name, in the place of another or, `ifAbsent`, beside its first one and in no other's place; whether it has it. */
function moveInto(temporary: string, file: string, ifAbsent: boolean): boolean {
  const move = () => (ifAbsent ? fs.linkSync(temporary, file) : fs.renameSync(temporary, file));
  try {
    try {
      move();
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') throw error;
      fs.mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
      move();
    }
    return true;
  } catch (error) {
    if (ifAbsent && codeOf(error) === 'EEXIST') return false;
    throw error;
  }
}

function namesIn(dir: string): readonly string[] {
  try {
    return fs.readdirSync(dir);
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return [];
    throw ioFault(error, dir);
  }
}

function exceeds(usage: PartitionUsage, limit: PartitionLimit): boolean {
  return usage.bytes > limit.bytes || usage.fileCount > limit.fileCount;
}

function noRoomAtAll(partition: string, bytes: number, limitBytes: number, limit: PartitionLimit | undefined): Fault {
  if (bytes > limitBytes) return new Fault('STORE_FULL', `${bytes} bytes are more than the whole store may hold (${limitBytes})`);
  return new Fault('STORE_FULL', `${bytes} bytes are more than ${partition} may hold (${limit?.bytes} bytes, ${limit?.fileCount} files)`, {
    hint: 'Raise the quota of that scope.',
  });
}

/** The directories from the file's own up to the top. */
function parents(file: string, top: string): string[] {
  const parent = path.dirname(file);
  return [parent, path.dirname(parent), top];
}

async function syncDirectory(dir: string): Promise<void> {
  const handle = await fs.promises.open(dir, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** An error of the file system as a fault: STORE_FULL for a full disk, else STORE_UNAVAILABLE. */
export function ioFault(error: unknown, file: string): Fault {
  if (codeOf(error) === 'ENOSPC' || codeOf(error) === 'EDQUOT') {
    return new Fault('STORE_FULL', `The disk is full: ${file}`, {
      cause: error,
      hint: 'Make room on that disk, or lower the limit of the store.',
    });
  }
  const code = codeOf(error) ?? String(error);
  return new Fault('STORE_UNAVAILABLE', `The store's disk fails (${code}): ${file}`, { cause: error });
}
