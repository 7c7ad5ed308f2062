import { randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, rename, rm, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Compression } from '../../cache/tar/import.ts';
import { diskFault } from '../../cache/tree/place.ts';
import { UsageError } from '../exit.ts';
import type { Terminal } from '../terminal.ts';

/** What is written for standard input and output. */
export const STDIO = '-';

const FORMS: readonly { readonly ends: RegExp; readonly compression: Compression }[] = [
  { ends: /\.tar$/, compression: 'none' },
  { ends: /\.(tar\.gz|tgz)$/, compression: 'gzip' },
  { ends: /\.(tar\.zst|tzst)$/, compression: 'zstd' },
];

/** The compression that a file's name stands for. @throws {UsageError} where it ends otherwise */
export function compressionOf(file: string): Compression {
  if (file === STDIO) return 'none';
  const form = FORMS.find(({ ends }) => ends.test(file));
  if (form !== undefined) return form.compression;
  throw new UsageError(`"${file}" is no name of an archive`, 'End it with .tar, .tar.gz or .tar.zst, or say --compression.');
}

/** Writes to a file, which appears under its name whole or not at all, or to standard output. How many bytes. */
export async function writeArchive(file: string, bytes: AsyncIterable<Uint8Array>, { stdout, cwd }: Terminal): Promise<number> {
  let length = 0;
  if (file === STDIO) {
    if (stdout.isTTY) throw new UsageError('An archive is nothing to look at', 'Write it to a file, or into a pipe.');
    for await (const chunk of bytes) {
      length += chunk.byteLength;
      if (!stdout.write(chunk)) await stdout.drained();
    }
    return length;
  }
  const path = resolve(cwd, file);
  const temporary = `${path}.${randomBytes(4).toString('hex')}.tmp`;
  const disk = async <T>(work: Promise<T>): Promise<T> => {
    try {
      return await work;
    } catch (error) {
      throw diskFault(error, path);
    }
  };
  try {
    await using to = await disk(open(temporary, 'wx', 0o666));
    for await (const chunk of bytes) {
      length += chunk.byteLength;
      await disk(to.writeFile(chunk));
    }
    await disk(rename(temporary, path));
    return length;
  } finally {
    await rm(temporary, { force: true });
  }
}

/** The bytes of an archive that is there; `input` is read for `-`. @throws {UsageError} where there is no such file */
export async function readArchive(file: string, { cwd }: Terminal, input: AsyncIterable<Uint8Array>): Promise<AsyncIterable<Uint8Array>> {
  if (file === STDIO) return input;
  const path = resolve(cwd, file);
  const found = await stat(path).catch(() => undefined);
  if (found === undefined) throw new UsageError(`There is no file ${file}`);
  if (found.isDirectory()) throw new UsageError(`${file} is a directory`, 'Give an archive: tar, or that in gzip or zstd.');
  return createReadStream(path, { highWaterMark: 1024 * 1024 });
}
