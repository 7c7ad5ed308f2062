import { Fault, isFault } from '../../base/fault.ts';
import { countFromProto } from '../../proto/convert.ts';
import { callUnary } from '../../proto/dial.ts';
import type { UploadPlanner } from '../direct/pack-sink.ts';
import type { ReadPlannerOptions } from './read-planner.ts';

/** For calls that read and hash nothing, and for the one that does. */
const PLAN_DEADLINE_MS = 10_000;
const COMMIT_DEADLINE_MS = 60_000;

/** Asks the data plane for places for packs. Once only: whoever gets none has another way. */
export function uploadPlanner(
  options: Omit<ReadPlannerOptions, 'withoutPlans'> & { readonly withoutUploads: WeakSet<object> },
): UploadPlanner {
  const { clients, withoutUploads, instanceName, metadata, hasGrant, closing, env } = options;
  const callOf = (signal: AbortSignal, deadlineMs: number) => ({
    signal: AbortSignal.any([signal, closing]),
    deadlineMs,
    metadata: metadata(),
  });
  return {
    async begin(signal) {
      const client = clients.direct;
      if (!hasGrant() || withoutUploads.has(client)) return undefined;
      try {
        const answer = await callUnary(client, 'beginUploads', { instanceName }, callOf(signal, PLAN_DEADLINE_MS));
        const { project, scope, producer, writtenAtMs } = answer;
        return { owner: { project, scope }, producer, writtenAt: countFromProto(writtenAtMs, 'written_at_ms') };
      } catch (error) {
        signal.throwIfAborted();
        if (isFault(error, 'UNIMPLEMENTED')) withoutUploads.add(client);
        else env.log.debug('no-uploads', { error });
        return undefined;
      }
    },
    async plan({ lengthBytes, sha256Hex }, signal) {
      const request = { instanceName, sizeBytes: lengthBytes, sha256: sha256Hex };
      const { upload, url, headers } = await callUnary(clients.direct, 'planUpload', request, callOf(signal, PLAN_DEADLINE_MS));
      if (upload === '' || url === '') throw new Fault('BAD_REQUEST', 'The data plane named no place for the pack', { field: 'url' });
      return { upload, url, headers };
    },
    async commit(upload, signal) {
      await callUnary(clients.direct, 'commitUpload', { instanceName, upload }, callOf(signal, COMMIT_DEADLINE_MS));
    },
  };
}
