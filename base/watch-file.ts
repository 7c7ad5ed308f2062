import { unwatchFile, watchFile } from 'node:fs';

/** How often the file is looked at: also through links, as mounted secrets are. */
const LOOK_MS = 2_000;

/** Calls `run` some moments after the file has changed. */
export function watchForChange(path: string, run: () => void): Disposable {
  const changed = () => run();
  watchFile(path, { interval: LOOK_MS, persistent: false }, changed);
  return { [Symbol.dispose]: () => unwatchFile(path, changed) };
}
