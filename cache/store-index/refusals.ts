import { Fault } from '../../base/fault.ts';
import { ADD_WITHIN_MS, ENTRY_PACKS_MAX, type Hold, type NewEntry, type PackName } from './store-index.ts';

/** What every index says where it refuses; the words are the same everywhere. */

export function indexClosed(): Fault {
  return new Fault('STORE_UNAVAILABLE', "The store's index has just begun anew and is being made ready", {
    hint: 'It opens by itself once the condemn records of the store were read; garbage collection does that.',
    retryAfterMs: 1_000,
  });
}

export function indexGone(): Fault {
  return new Fault('STORE_UNAVAILABLE', "The store's index was closed");
}

export function otherEpoch(epoch: string, now: string): Fault {
  return new Fault('WRONG_STATE', `The store's index is of epoch ${now}, not ${epoch}: it has begun anew`);
}

export function wrongPhase(what: string): Fault {
  return new Fault('WRONG_STATE', `The store's index ${what}`);
}

export function holdLost({ id }: Pick<Hold, 'id'>): Fault {
  return new Fault('HOLD_LOST', `The hold ${id} has ended: what it promised may be gone`, { hint: 'Look for the blobs again.' });
}

export function packCondemned(pack: PackName): Fault {
  return new Fault('PACK_GONE', `The pack ${pack} was condemned`, { hint: 'Store its blobs again, in a new pack.' });
}

export function packLate(pack: PackName): Fault {
  return new Fault('PACK_GONE', `The pack ${pack} was begun more than ${ADD_WITHIN_MS / 3_600_000} hours ago`, {
    hint: 'Store its blobs again, in a new pack.',
  });
}

export function packForeign(pack: PackName): Fault {
  return new Fault('BAD_REQUEST', `The pack ${pack} belongs to another owner`, { field: 'owner' });
}

export function notPending(object: string): Fault {
  return new Fault('WRONG_STATE', `The entry of ${object} is not pending any more`, { hint: 'Prepare it again, with a new object.' });
}

export function notCondemned(pack: PackName): Fault {
  return new Fault('WRONG_STATE', `The pack ${pack} is not condemned`);
}

export function tooManyPacks(entry: NewEntry): Fault | undefined {
  if (entry.packs.length <= ENTRY_PACKS_MAX) return undefined;
  return new Fault('TOO_LARGE', `The entry needs ${entry.packs.length} packs; at most ${ENTRY_PACKS_MAX} are allowed`);
}

/** @throws {Fault} CANCELLED where the caller has given up already; nothing was done then. */
export function refuseAborted(signal: AbortSignal): void {
  if (signal.aborted) throw new Fault('CANCELLED', "The caller gave up before the store's index was asked", { cause: signal.reason });
}
