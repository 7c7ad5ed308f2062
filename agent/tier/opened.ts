import fs from 'node:fs';
import path from 'node:path';
import { hostBootId } from '../../base/boot-id.ts';

/** How a tier was opened the last time. */
type Opened = { readonly boot: string; readonly guarded: boolean };

/**
 * Whether what a tier holds can be believed, by what `file` says of how it was opened the last time. One that is looked at before each use
 * always can. A guarded one cannot where it was not guarded before, for a step could have written it; nor where the host was started
 * anew meanwhile, for files that were whole may have lost what was not on the disk yet.
 */
export function isBelievable(file: string, guarded: boolean): boolean {
  const before = read(file);
  return !guarded || (before?.guarded === true && before.boot === hostBootId());
}

/** Notes how the tier is opened now: once nothing lies there that cannot be believed, and before any step runs. */
export function noteOpening(file: string, guarded: boolean): void {
  fs.mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
  fs.writeFileSync(`${file}.new`, JSON.stringify({ boot: hostBootId(), guarded } satisfies Opened));
  fs.renameSync(`${file}.new`, file);
}

function read(file: string): Partial<Opened> | undefined {
  try {
    const value: unknown = JSON.parse(fs.readFileSync(file, 'utf8'));
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch {
    return undefined; // never opened, or cut short
  }
}
