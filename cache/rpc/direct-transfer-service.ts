import { Fault } from '../../base/fault.ts';
import { digestFromProto, digestToProto } from '../../proto/convert.ts';
import type { DirectTransferHandlers } from '../../proto/gen/switchyard/v1/DirectTransfer.ts';
import type { PlanReadsRequest__Output } from '../../proto/gen/switchyard/v1/PlanReadsRequest.ts';
import type { PlanReadsResponse } from '../../proto/gen/switchyard/v1/PlanReadsResponse.ts';
import { unary, type Call } from '../../proto/handlers.ts';
import { loadProto } from '../../proto/load.ts';
import type { ServedService } from '../../proto/serve.ts';
import type { BulkPlan } from '../packs/bulk.ts';
import { accessOf } from './access.ts';
import { DIGESTS_MAX } from './limits.ts';
import type { DataPlaneParts } from './service.ts';

/** Shorter than this a URL is of no use: its bytes are on their way when it ends. */
const URL_MS_MIN = 2_000;

/** Plans of what agents fetch from the bucket by themselves. */
export function directTransferService(parts: DataPlaneParts): ServedService {
  const handlers: DirectTransferHandlers = {
    PlanReads: unary(parts.env, 'PlanReads', (request, call) => planReads(parts, request, call)),
  };
  return { definition: loadProto().switchyard.v1.DirectTransfer.service, handlers };
}

async function planReads(parts: DataPlaneParts, request: PlanReadsRequest__Output, call: Call): Promise<PlanReadsResponse> {
  const { view, attempt } = accessOf(parts, request.instanceName, call);
  if (attempt === undefined) throw new Fault('FORBIDDEN', 'URLs are for attempts: others read by ByteStream');
  if (parts.direct === undefined) throw new Fault('UNIMPLEMENTED', 'This store has no URLs: read by ByteStream');
  if (request.digests.length > DIGESTS_MAX)
    throw new Fault('BAD_REQUEST', `digests has ${request.digests.length} entries; ask for at most ${DIGESTS_MAX} at once`, {
      field: 'digests',
    });
  const digests = request.digests.map((digest, index) => digestFromProto(digest, `digests[${index}]`));
  const ttlMs = attempt.expiresAt - parts.env.clock.now();
  if (ttlMs < URL_MS_MIN) throw new Fault('GRANT_EXPIRED', 'The grant ends too soon for a URL: ask again with the next one');
  return planToProto(await parts.direct.plan(view, digests, { id: attempt.token, ttlMs }, call.signal));
}

function planToProto({ packs, large, missing, urlTtlMs }: BulkPlan): PlanReadsResponse {
  return {
    packs: packs.map(({ url, frames }) => ({
      url,
      frames: frames.map(({ offset, storedBytes, rawBytes, encoding, blobs }) => ({
        offset,
        storedBytes,
        rawBytes,
        zstd: encoding === 'zstd',
        blobs: blobs.map((blob) => ({ digest: digestToProto(blob.digest), offset: blob.offset, length: blob.length })),
      })),
    })),
    large: large.map(({ digest, parts }) => ({ digest: digestToProto(digest), pieces: parts.map(digestToProto) })),
    notDirect: missing.map(digestToProto),
    urlTtlMs,
  };
}
