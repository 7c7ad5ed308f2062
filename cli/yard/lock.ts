import fs from 'node:fs';
import path from 'node:path';
import { codeOf } from '../../base/thrown.ts';
import { UsageError } from '../exit.ts';
import { processStart } from '../../base/process-start.ts';

/**
 * Makes us the only yard in a state directory. A lock whose process is gone is taken over.
 * @throws {UsageError} where another process holds it.
 */
export function lockYard(file: string): Disposable {
  for (let tries = 0; ; tries += 1) {
    try {
      linkNew(file, ownMark());
      return { [Symbol.dispose]: () => fs.rmSync(file, { force: true }) };
    } catch (error) {
      if (codeOf(error) !== 'EEXIST' || tries > 3) throw error;
      const holder = holderOf(file);
      if (holder !== undefined) {
        throw new UsageError(
          `A yard runs here already (process ${holder})`,
          'Use it: "switchyard run", "switchyard agents". Or stop it with Ctrl-C first.',
        );
      }
      fs.rmSync(file, { force: true });
    }
  }
}

/** The process that holds the lock; undefined where it is gone, -1 where it belongs to somebody else. */
export function holderOf(file: string): number | undefined {
  try {
    const [pid, startTime] = fs.readFileSync(file, 'utf8').trim().split(' ');
    const holder = Number(pid);
    if (!Number.isSafeInteger(holder) || holder <= 1 || holder === process.pid) return undefined;
    process.kill(holder, 0);
    // Another process may have got the number, as after a container was started again.
    return startTime === undefined || startTime === processStart(holder) ? holder : undefined;
  } catch (error) {
    // EPERM: it lives and belongs to somebody else.
    return codeOf(error) === 'EPERM' ? -1 : undefined;
  }
}

/** Tells the yard's owner, until disposed, that we use it too. */
export function markGuest(dir: string): Disposable {
  fs.mkdirSync(dir, { recursive: true, mode: 0o700 });
  const file = path.join(dir, String(process.pid));
  fs.writeFileSync(file, ownMark(), { mode: 0o600 });
  return { [Symbol.dispose]: () => fs.rmSync(file, { force: true }) };
}

/** Whether somebody uses the yard beside its owner. */
export function hasGuests(dir: string): boolean {
  try {
    return fs.readdirSync(dir).some((name) => holderOf(path.join(dir, name)) !== undefined);
  } catch {
    return false; // nobody ever did
  }
}

/** Makes the file with all its text at once: nobody sees an empty one. @throws {Error} EEXIST where it is there. */
function linkNew(file: string, text: string): void {
  const draft = `${file}.${process.pid}`;
  fs.writeFileSync(draft, text, { mode: 0o600 });
  try {
    fs.linkSync(draft, file);
  } finally {
    fs.rmSync(draft, { force: true });
  }
}

function ownMark(): string {
  return `${process.pid} ${processStart(process.pid) ?? ''}`.trimEnd() + '\n';
}
