import type { Logger } from '../../base/log.ts';
import type { StepResult } from '../../cache/action/result.ts';
import type { BlobStore } from '../../cache/blob-store.ts';
import type { Digest } from '../../cache/digest.ts';
import { roomOf } from '../../cache/shared-room.ts';
import { uploadCostOf } from '../../cache/tree/upload.ts';
import type { AttemptLog } from '../spool/attempt-log.ts';
import type { LogParts } from './log-parts.ts';

/** What a result has of a log. */
export type StoredLog = Pick<StepResult, 'log' | 'streams'>;
export const NO_LOG: StoredLog = { log: undefined };

export type LogToStore = {
  readonly log: Pick<AttemptLog, 'sealed' | 'stream'>;
  /** Which bytes are which stream's; undefined where nobody asks. */
  readonly parts: LogParts | undefined;
  /** Of its room, where its users share one, no more is taken at a time than one blob needs. */
  readonly store: BlobStore;
  readonly problems: Pick<Logger, 'warn'>;
  readonly token: string;
};

/** Stores the whole log, and its parts; a log that cannot be stored costs the log, not the attempt. */
export async function storeLog({ log, parts, store, problems, token }: LogToStore, signal: AbortSignal): Promise<StoredLog> {
  const sealed = log.sealed();
  if (sealed === undefined) return NO_LOG;
  const streams = parts?.sealed();
  const put = async (digest: Digest, bytes: AsyncIterable<Uint8Array>) => {
    using _ = await roomOf(store)?.take(uploadCostOf(digest), signal);
    await store.put(digest, bytes, signal);
  };
  try {
    await put(sealed.digest, log.stream());
    if (parts === undefined || streams === undefined) return { log: sealed };
    const { stdout, stderr } = streams;
    if (stdout !== undefined) {
      await put(stdout, parts.pick('stdout', log.stream()));
      await put(stderr, parts.pick('stderr', log.stream()));
    } // else standard error is the log
    return { log: sealed, streams };
  } catch (error) {
    if (!signal.aborted) problems.warn('log-not-stored', { token, error });
    return NO_LOG;
  }
}
