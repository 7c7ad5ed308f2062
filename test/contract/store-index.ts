import { describe } from 'vitest';
import type { StoreIndex } from '../../cache/store-index/store-index.ts';
import type { HandClock } from '../fixtures/store-index.ts';
import { blobCases } from './store-index/blobs.ts';
import { collectionCases } from './store-index/collection.ts';
import { entryCases } from './store-index/entries.ts';
import { epochCases } from './store-index/epochs.ts';

export type StoreIndexSubject = {
  readonly name: string;
  /** An empty index that is new: closed. `clock` is its clock. */
  readonly open: (clock: HandClock) => Promise<StoreIndex>;
};

/** An index in use: open and complete. */
export type Used = AsyncDisposable & { readonly index: StoreIndex; readonly clock: HandClock; readonly epoch: string };

/** What every implementation of `StoreIndex` does. */
export function storeIndexContract(subject: StoreIndexSubject): void {
  describe(`the store's index: ${subject.name}`, () => {
    blobCases(subject);
    entryCases(subject);
    collectionCases(subject);
    epochCases(subject);
  });
}
