import fs from 'node:fs';
import path from 'node:path';
import type { Clock } from '../../base/clock.ts';
import { parseDigest, type Digest } from '../digest.ts';
import type { HashedFile } from './hash-file.ts';

/**
 * Remembers the digests of files by what `lstat` says of them (device, inode, size, times of content and inode), so that an
 * unchanged file need not be read again. A file that was changed shortly before it was hashed could be changed once more
 * without its times showing it: such an entry is not believed.
 */
export interface StatIndex {
  lookup(file: string, stat: fs.BigIntStats): Digest | undefined;
  record(file: string, hashed: HashedFile): void;
  /** The time to pass on to `hashFile`. */
  now(): number;
  /** Writes what is known to disk; files that were not asked for since the index was opened are forgotten. */
  save(): void;
}

/** Time within which two changes of a file may carry the same time stamp, on the coarsest file systems. */
const RACY_MS = 2_000;

type Entry = { readonly key: string; readonly digest: Digest };

/** Opens the index in `file`; a missing or damaged one is an empty one. */
export function openStatIndex(file: string, clock: Clock): StatIndex {
  const old = load(file);
  const seen = new Map<string, Entry>();
  return {
    lookup(name, stat) {
      const entry = seen.get(name) ?? old.get(name);
      if (entry === undefined || entry.key !== keyOf(stat)) return undefined;
      seen.set(name, entry);
      return entry.digest;
    },
    record(name, { digest, stat, atMs }) {
      const changedMs = Number((stat.mtimeNs > stat.ctimeNs ? stat.mtimeNs : stat.ctimeNs) / 1_000_000n);
      if (atMs !== undefined && changedMs + RACY_MS < atMs) seen.set(name, { key: keyOf(stat), digest });
      else seen.delete(name);
    },
    now: () => clock.now(),
    save() {
      const lines = [...seen].map(([name, entry]) => JSON.stringify([name, entry.key, entry.digest]));
      const temporary = `${file}.${process.pid}.tmp`;
      fs.mkdirSync(path.dirname(file), { recursive: true });
      fs.writeFileSync(temporary, `${lines.join('\n')}\n`);
      fs.renameSync(temporary, file);
    },
  };
}

function keyOf(stat: fs.BigIntStats): string {
  return `${stat.dev} ${stat.ino} ${stat.size} ${stat.mtimeNs} ${stat.ctimeNs}`;
}

function load(file: string): Map<string, Entry> {
  const entries = new Map<string, Entry>();
  let text: string;
  try {
    text = fs.readFileSync(file, 'utf8');
  } catch {
    return entries; // not there or not readable: everything is hashed anew
  }
  for (const line of text.split('\n')) {
    try {
      const parsed: unknown = JSON.parse(line);
      if (!Array.isArray(parsed)) continue;
      const [name, key, digestText]: unknown[] = parsed;
      const digest = typeof digestText === 'string' ? parseDigest(digestText) : undefined;
      if (typeof name === 'string' && typeof key === 'string' && digest !== undefined) entries.set(name, { key, digest });
    } catch {
      continue; // a damaged line costs one file's hashing
    }
  }
  return entries;
}
