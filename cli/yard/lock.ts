import fs from 'node:fs';
import { UsageError } from '../exit.ts';

/**
 * Makes us the only yard in a state directory. A lock whose process is gone is taken over.
 * @throws {UsageError} where another process holds it.
 */
export function lockYard(file: string): Disposable {
  for (let tries = 0; ; tries += 1) {
    try {
      fs.writeFileSync(file, `${process.pid}\n`, { flag: 'wx', mode: 0o600 });
      return { [Symbol.dispose]: () => fs.rmSync(file, { force: true }) };
    } catch (error) {
      if (!(error instanceof Error) || !('code' in error) || error.code !== 'EEXIST' || tries > 3) throw error;
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

/** The process that holds the lock; undefined where it is gone. */
export function holderOf(file: string): number | undefined {
  let pid: number;
  try {
    pid = Number(fs.readFileSync(file, 'utf8'));
  } catch {
    return undefined; // nobody does
  }
  if (!Number.isSafeInteger(pid) || pid <= 1 || pid === process.pid) return undefined;
  try {
    process.kill(pid, 0);
    return pid;
  } catch (error) {
    // EPERM: it lives and belongs to somebody else.
    return error instanceof Error && 'code' in error && error.code === 'EPERM' ? pid : undefined;
  }
}
