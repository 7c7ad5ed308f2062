import type { BlobStore } from './blob-store.ts';
import type { ByteBudget } from './byte-budget.ts';

/**
 * A store whose users have one bound in common for what they hold in memory of blobs on their way to it and from it: all attempts of an
 * agent, however many there are. Whoever takes of it waits for nobody else who does while holding some, so that it always comes free again;
 * it is given first come, first served, and each upload or download stands in the queue once.
 */
interface SharedRoom {
  readonly room: ByteBudget;
}

/** What the store's users share; undefined where each has bounds of its own only. */
export function roomOf(store: BlobStore | (BlobStore & SharedRoom)): ByteBudget | undefined {
  return 'room' in store ? store.room : undefined;
}

/** The store, for users who share `room`. */
export function withSharedRoom<S extends BlobStore>(store: S, room: ByteBudget): S & SharedRoom {
  return { ...store, room };
}
