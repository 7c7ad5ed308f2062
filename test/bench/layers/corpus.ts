import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { prngFrom } from '../../../base/prng.ts';
import { ROOT } from '../../fixtures/root.ts';

const run = promisify(execFile);

/** The same tree in three states: as it is, with one dependency of another version, and with ten. */
export const VARIANTS = ['base', 'one-bumped', 'ten-bumped'] as const;
export type Variant = (typeof VARIANTS)[number];

/** Directories named `node_modules`, not to be written to. `bumped` is what differs between the first two, by name within them. */
export type Corpora = Readonly<Record<Variant, string>> & { readonly bumped: string };

const LOCKS = path.join(import.meta.dirname, 'corpora');
/** Kept between runs. */
export const CORPORA_DIR = path.join(ROOT, '.cache/bench/layers');

/** Installs what the lockfiles in `corpora/` say, once for each content of a lockfile: two minutes and 800 MB each. Needs npm. */
export async function installedCorpora(): Promise<Corpora> {
  return {
    base: await installed('base'),
    'one-bumped': await installed('one-bumped'),
    'ten-bumped': await installed('ten-bumped'),
    bumped: 'webpack',
  };
}

async function installed(variant: Variant): Promise<string> {
  const names = ['package.json', 'package-lock.json'];
  const sum = createHash('sha256');
  for (const name of names) sum.update(fs.readFileSync(path.join(LOCKS, variant, name)));
  const dir = path.join(CORPORA_DIR, `${variant}-${sum.digest('hex').slice(0, 12)}`);
  const done = path.join(dir, 'installed');
  if (!fs.existsSync(done)) {
    fs.rmSync(dir, { recursive: true, force: true });
    fs.mkdirSync(dir, { recursive: true });
    for (const name of names) fs.copyFileSync(path.join(LOCKS, variant, name), path.join(dir, name));
    process.stderr.write(`installing ${variant} into ${dir}\n`);
    await run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: dir });
    fs.writeFileSync(done, '');
  }
  return path.join(dir, 'node_modules');
}

/** Small ones of the same shape, below `dir`: 40 packages of 50 files. */
export function smallCorpora(dir: string): Corpora {
  const make = (variant: Variant, bumpedCount: number): string => {
    const top = path.join(dir, variant, 'node_modules');
    for (let number = 0; number < 40; number += 1) {
      const prng = prngFrom(number < bumpedCount ? 1_000 + number : number);
      fs.mkdirSync(path.join(top, `package-${number}/lib`), { recursive: true });
      for (let file = 0; file < 50; file += 1) {
        const text = Array.from({ length: 20 + prng.below(200) }, () => `line ${prng.below(1_000)}\n`).join('');
        fs.writeFileSync(path.join(top, `package-${number}/lib/file-${file}.js`), text);
      }
    }
    return top;
  };
  return { base: make('base', 0), 'one-bumped': make('one-bumped', 1), 'ten-bumped': make('ten-bumped', 10), bumped: 'package-0' };
}

export type TreeSize = { readonly fileCount: number; readonly bytes: number };

export function sizeOfTree(top: string): TreeSize {
  let fileCount = 0;
  let bytes = 0;
  for (const entry of fs.readdirSync(top, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    fileCount += 1;
    bytes += fs.statSync(path.join(entry.parentPath, entry.name)).size;
  }
  return { fileCount, bytes };
}
