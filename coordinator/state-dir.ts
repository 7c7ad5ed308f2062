import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Fault, wrap } from '../base/fault.ts';

/** @throws {Fault} INTERNAL naming the directory */
export async function makePrivateDir(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw wrap(error, `Making the directory ${path}`);
  }
}

/**
 * Takes a state directory for this process alone, where no ledger in it does so already. The lock is one of the operating system
 * on a file, so it ends with the process, however that ends. @throws {Fault} CONFIG_INVALID where another process has it
 */
export function lockStateDir(path: string): Disposable {
  const database = new DatabaseSync(join(path, 'lock.sqlite'));
  try {
    database.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE');
  } catch (error) {
    database.close();
    throw new Fault('CONFIG_INVALID', `The state directory ${path} is in use by another coordinator`, {
      field: 'stateDir',
      hint: 'Give each coordinator a --state-dir of its own; what they share is --blobs-dir.',
      cause: error,
    });
  }
  return { [Symbol.dispose]: () => database.close() };
}
