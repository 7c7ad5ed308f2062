import { Fault, isFault } from '../../base/fault.ts';
import type { StepId } from '../core/ids.ts';
import type { BlobStore } from '../../cache/blob-store.ts';
import type { BuildId } from '../core/ids.ts';
import type { StepRecord } from '../core/state.ts';
import { isUnsealed } from '../core/step-record.ts';
import type { CoreView } from './core-view.ts';
import { blobPieces, type LogPiece } from './log-reader.ts';
import { logTarget } from './log-target.ts';
import type { LogStore } from './logs.ts';
import type { Watch } from './watch.ts';

export type StepLogOptions = {
  readonly core: CoreView;
  readonly logs: Pick<LogStore, 'read'>;
  readonly watch: Pick<Watch, 'changed'>;
  readonly storeOf: (build: BuildId) => BlobStore;
};

export type StepLogRequest = {
  readonly step: StepId;
  /** 0 for the newest. */
  readonly attempt: number;
  readonly offset: number;
  /** Whether to wait for the attempt and its bytes. */
  readonly follow: boolean;
};

/** A piece of a step's log, with the number of the attempt (0 where no attempt of the step itself made it). */
export type StepLogPiece = LogPiece & { readonly attempt: number };

/**
 * A step's log from an offset on, wherever its bytes are; it ends where the log of that one attempt ends.
 * @throws {Fault} STEP_UNKNOWN, LOG_UNKNOWN, OUT_OF_RANGE, STORE_UNAVAILABLE (also of a log that the store is still to get from the
 * data plane of another host), LEDGER_UNAVAILABLE
 */
export async function* readStepLog(options: StepLogOptions, request: StepLogRequest, signal: AbortSignal): AsyncGenerator<StepLogPiece> {
  try {
    yield* piecesOf(options, request, signal);
  } catch (error) {
    throw stagedOr(error, options.core.step(request.step)?.record);
  }
}

/** What a reader is told of a log that was not found: it may wait for the store on the disk of a data plane that is not ours. */
export function stagedOr(error: unknown, record: StepRecord | undefined): unknown {
  if (!isFault(error, 'LOG_UNKNOWN') || record === undefined || !isUnsealed(record)) return error;
  return new Fault('STORE_UNAVAILABLE', 'The log waits on the disk of another host for the store, which was away when the step ended', {
    retryAfterMs: STAGED_AGAIN_MS,
    hint: 'Read it again once the store is back.',
    cause: error,
  });
}

/** When a log that waits for the store is worth another look. */
const STAGED_AGAIN_MS = 5_000;

async function* piecesOf(options: StepLogOptions, request: StepLogRequest, signal: AbortSignal): AsyncGenerator<StepLogPiece> {
  const { step, attempt, offset, follow } = request;
  while (!signal.aborted) {
    const target = logTarget(options.core, step, attempt);
    if (target.kind === 'not-yet') {
      if (!follow) return;
      await anyChange(target.builds, options.watch, signal);
    } else if (target.kind === 'none') {
      yield { offset, bytes: new Uint8Array(0), complete: true, truncated: false, attempt: 0 };
      return;
    } else if (target.kind === 'result') {
      for await (const piece of blobPieces(target.sealed, offset, options.storeOf(target.build), signal)) yield { ...piece, attempt: 0 };
      return;
    } else {
      for await (const piece of options.logs.read({ ...target, offset, follow }, signal)) yield { ...piece, attempt: target.number };
      return;
    }
  }
}

/** Returns at the next event of any of the builds. */
async function anyChange(builds: readonly BuildId[], watch: Pick<Watch, 'changed'>, signal: AbortSignal): Promise<void> {
  const over = new AbortController();
  const either = AbortSignal.any([signal, over.signal]);
  await Promise.race([...new Set(builds)].map((build) => watch.changed(build, either)));
  over.abort();
}
