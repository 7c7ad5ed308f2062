import type { TimeMs } from '../../base/clock.ts';
import type { Digest } from '../digest.ts';

/** Where a result is kept: in a project's scope, under the digest of the action (or whatever else the writer keys by). */
export type ActionKey = { readonly project: string; readonly scope: string; readonly action: Digest };

/** Who brought a result: our own execution, or a client that says it ran the action. */
export type Writer = { readonly kind: 'executor' | 'client'; readonly name: string };

export type ActionEntry = {
  /** A REAPI ActionResult. */
  readonly result: Uint8Array;
  readonly writer: Writer;
  readonly writtenAt: TimeMs;
};

/** Results by action. Every implementation passes `test/contract/action-cache.ts`. */
export interface ActionCache {
  /**
   * The entry, which counts as used just now, or undefined. Whether its blobs are there is another question: see
   * `withCompleteness`. A damaged entry is removed, and not there.
   * @throws {Fault} STORE_UNAVAILABLE
   */
  get(key: ActionKey, signal: AbortSignal): Promise<ActionEntry | undefined>;

  /**
   * Keeps an entry in the place of the one before it, but a client's entry never takes an executor's place: the entry
   * that is kept then is the answer.
   * @throws {Fault} STORE_FULL, STORE_UNAVAILABLE
   */
  put(key: ActionKey, entry: ActionEntry, signal: AbortSignal): Promise<ActionEntry>;
}

/** Whether `entry` may take the place of `there`. */
export function mayReplace(there: ActionEntry | undefined, entry: ActionEntry): boolean {
  return there === undefined || there.writer.kind === 'client' || entry.writer.kind === 'executor';
}
