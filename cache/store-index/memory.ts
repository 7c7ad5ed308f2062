import { randomBytes } from 'node:crypto';
import type { Clock } from '../../base/clock.ts';
import { MemoryIndex } from './memory-index.ts';

export type MemoryStoreIndexOptions = {
  readonly clock: Pick<Clock, 'now'>;
  /** Whether it begins open and complete: the index of a store that is known to be empty. @default true */
  readonly ready?: boolean;
  /** Names of epochs. @default random ones */
  readonly newEpoch?: () => string;
};

/**
 * The index of one process, which forgets everything with it: for tests, simulations, and as what the other implementations are
 * compared with.
 */
export function memoryStoreIndex({ clock, ready = true, newEpoch = randomEpoch }: MemoryStoreIndexOptions): MemoryIndex {
  return new MemoryIndex(clock, ready, newEpoch);
}

function randomEpoch(): string {
  return randomBytes(16).toString('hex');
}
