import { spawnSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { codeOf } from '../../base/thrown.ts';

/** A small disk of its own in memory, which can be filled to the last byte. Needs `needs('mount')`. */
export interface SmallDisk extends AsyncDisposable {
  readonly path: string;
  fill(): void;
  empty(): void;
}

/** Mounts it at `path`, which is made. */
export function mountSmallDisk(path: string, bytes: number): SmallDisk {
  mkdirSync(path, { recursive: true });
  run('mount', '-t', 'tmpfs', '-o', `size=${Math.ceil(bytes / 1024)}k,mode=0755`, 'tmpfs', path);
  const filler = join(path, '.filler');
  return {
    path,
    fill() {
      const piece = Buffer.alloc(1024 * 1024);
      const fd = openSync(filler, 'a');
      try {
        for (let size = piece.length; size >= 512; size = Math.floor(size / 2)) while (written(fd, piece.subarray(0, size)) === size);
      } finally {
        closeSync(fd);
      }
    },
    empty: () => rmSync(filler, { force: true }),
    async [Symbol.asyncDispose]() {
      // Lazily: whoever was killed a moment ago may still have a file open.
      run('umount', '--lazy', path);
    },
  };
}

function written(fd: number, bytes: Buffer): number {
  try {
    return writeSync(fd, bytes);
  } catch (error) {
    if (codeOf(error) === 'ENOSPC') return 0;
    throw error;
  }
}

function run(program: string, ...args: readonly string[]): void {
  const { status, stderr } = spawnSync(program, args, { encoding: 'utf8', timeout: 10_000 });
  if (status !== 0) throw new Error(`"${program} ${args.join(' ')}" failed: ${stderr.trim()}`);
}
