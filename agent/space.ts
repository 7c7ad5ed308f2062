import { statfs } from 'node:fs/promises';
import type { Env } from '../base/env.ts';

const LOOK_EVERY_MS = 5_000;
/** Free space that lets an agent take work again: enough for a few small steps, and not a byte that comes and goes. */
const FREE_BYTES_MIN = 256 * 1024 * 1024;
/** Of a disk so small that it never has that much, this part is enough. */
const FREE_SHARE_MIN = 0.05;

export type SpaceWatchOptions = {
  readonly dir: string;
  /** Called with a reason when the host runs short, and with undefined when it has recovered. */
  readonly onChange: (reason: string | undefined) => void;
  readonly env: Env;
  /** Or a twentieth of the disk, where that is less. @default 256 MiB */
  readonly freeBytesMin?: number;
  /** @default 5 seconds */
  readonly lookEveryMs?: number;
};

/** Keeps an agent without room from taking work: nothing is looked at until somebody reports a shortage. */
export interface SpaceWatch extends Disposable {
  /** Something failed for want of disk, memory or descriptors. */
  short(reason: string): void;
}

export function watchSpace({
  dir,
  onChange,
  env,
  freeBytesMin = FREE_BYTES_MIN,
  lookEveryMs = LOOK_EVERY_MS,
}: SpaceWatchOptions): SpaceWatch {
  let timer: NodeJS.Timeout | undefined;
  let over = false;
  async function look(): Promise<void> {
    const { bavail, blocks, bsize } = await statfs(dir);
    if (over) return;
    if (bavail * bsize < Math.min(freeBytesMin, blocks * bsize * FREE_SHARE_MIN)) return wait();
    timer = undefined;
    onChange(undefined);
  }
  function wait(): void {
    timer = setTimeout(() => {
      look().catch((error: unknown) => {
        env.log.warn('disk-space-unknown', { error });
        if (!over) wait();
      });
    }, lookEveryMs);
  }
  return {
    short(reason) {
      if (timer !== undefined || over) return;
      onChange(reason);
      wait();
    },
    [Symbol.dispose]() {
      over = true;
      clearTimeout(timer);
    },
  };
}
