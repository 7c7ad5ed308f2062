import type { GetStagingResponse, GetStagingResponse__Output } from '../../proto/gen/switchyard/v1/GetStagingResponse.ts';
import type { Call } from '../../proto/handlers.ts';
import type { Digest } from '../digest.ts';
import type { Access } from './access.ts';
import type { DataPlaneParts } from './service.ts';

/** Beside answers about blobs of which some are on this data plane's disk only. */
export const STAGED_METADATA = 'switchyard-staged';

/** What waits on a data plane's disk for the store, and what became of the rest since it was started. */
export type StagingNow = {
  readonly blobs: number;
  readonly bytes: number;
  readonly limitBytes: number;
  readonly refusedCount: number;
  readonly droppedCount: number;
  /** Why nothing goes to the store; undefined while it answers. */
  readonly away: string | undefined;
};

export function stagingFromProto(message: GetStagingResponse__Output): StagingNow {
  return {
    blobs: Number(message.blobs),
    bytes: Number(message.bytes),
    limitBytes: Number(message.limitBytes),
    refusedCount: Number(message.refusedCount),
    droppedCount: Number(message.droppedCount),
    away: message.away === '' ? undefined : message.away,
  };
}

/** Says with the answer where some of the blobs are staged only: whoever relies on them must know that they may yet be lost. */
export async function tellStaged({ staging }: DataPlaneParts, { view }: Access, digests: readonly Digest[], call: Call): Promise<void> {
  if (staging !== undefined && (await staging.holdsAny(view, digests, call.signal))) call.tell(STAGED_METADATA, 'yes');
}

/** What waits on this data plane's disk. */
export function stagingNow({ staging }: DataPlaneParts): GetStagingResponse {
  const state = staging?.state();
  if (state === undefined) return {};
  return {
    blobs: state.blobs,
    bytes: String(state.bytes),
    limitBytes: String(state.limitBytes),
    stagedCount: state.stagedCount,
    refusedCount: state.refusedCount,
    drainedCount: state.drained,
    droppedCount: state.dropped,
    missedCount: state.missed,
    away: state.away ?? '',
  };
}
