import type { StoreIndex } from '../../../cache/store-index/store-index.ts';
import { handClock, type HandClock } from '../../fixtures/store-index.ts';
import type { StoreIndexSubject, Used } from '../store-index.ts';

export const signal = new AbortController().signal;

/** Lets everybody in, and GC too. */
export async function makeReady(index: StoreIndex): Promise<string> {
  const { epoch } = await index.epoch(signal);
  await index.open(epoch, signal);
  await index.complete(epoch, signal);
  return epoch;
}

/** An index that is open and complete. */
export async function used(subject: StoreIndexSubject, clock: HandClock = handClock()): Promise<Used> {
  const index = await subject.open(clock);
  return { index, clock, epoch: await makeReady(index), [Symbol.asyncDispose]: () => index[Symbol.asyncDispose]() };
}
