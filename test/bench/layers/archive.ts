import { execFile } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { findProgram } from '../../../agent/spawn/tools.ts';
import type { ObjectStore } from '../../../cache/objects/object-store.ts';
import { readPieces } from '../../../cache/tree/upload.ts';
import { never } from './rig.ts';

const run = promisify(execFile);

/** Why archives cannot be measured here, for people; undefined where they can. */
export function archivesMissing(): string | undefined {
  const missing = ['tar', 'zstd'].filter((name) => findProgram(name) === undefined);
  return missing.length === 0 ? undefined : `NOT MEASURED against archives: install ${missing.join(' and ')} (packages of the same names)`;
}

/**
 * What CI caches do: an archive of the whole directory on disk, compressed by all cores, then sent; and the other way round, fetched
 * whole by one request, then unpacked.
 */
export class Archives {
  readonly #objects: ObjectStore;
  readonly #dir: string;

  constructor(objects: ObjectStore, dir: string) {
    this.#objects = objects;
    this.#dir = dir;
    fs.mkdirSync(dir, { recursive: true });
  }

  async save(parent: string, name: string, key: string): Promise<void> {
    const file = path.join(this.#dir, 'saved.tar.zst');
    await run('tar', ['--posix', '-cf', file, '-C', parent, '--use-compress-program', 'zstd -T0', name]);
    const body = { lengthBytes: fs.statSync(file).size, open: () => readPieces(file) };
    await this.#objects.put(key, body, { ifAbsent: false }, never);
    fs.unlinkSync(file);
  }

  async restore(key: string, into: string): Promise<void> {
    fs.mkdirSync(into, { recursive: true });
    const file = path.join(this.#dir, 'fetched.tar.zst');
    const response = await fetch(this.#objects.presignGet(key, 3_600_000));
    if (!response.ok || response.body === null) throw new Error(`The bucket answered ${response.status} for ${key}`);
    await pipeline(response.body, fs.createWriteStream(file));
    await run('tar', ['-xf', file, '-C', into, '--use-compress-program', 'zstd -d']);
    fs.unlinkSync(file);
  }
}

/** A copy made of hard links, as a build tool makes it of a local directory. */
export async function linkedCopy(from: string, to: string): Promise<void> {
  await run('cp', ['-al', from, to]);
}
