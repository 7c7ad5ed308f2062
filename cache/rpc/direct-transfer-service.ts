import { Fault } from '../../base/fault.ts';
import { countFromProto } from '../../proto/convert.ts';
import type { CommitUploadRequest__Output } from '../../proto/gen/switchyard/v1/CommitUploadRequest.ts';
import type { DirectTransferHandlers } from '../../proto/gen/switchyard/v1/DirectTransfer.ts';
import type { PlanUploadRequest__Output } from '../../proto/gen/switchyard/v1/PlanUploadRequest.ts';
import type { PlanUploadResponse } from '../../proto/gen/switchyard/v1/PlanUploadResponse.ts';
import { unary, type Call } from '../../proto/handlers.ts';
import { loadProto } from '../../proto/load.ts';
import type { ServedService } from '../../proto/serve.ts';
import type { UploadingAttempt } from '../direct-writes.ts';
import type { BulkPlan } from '../packs/bulk.ts';
import type { StoreView } from '../store-view.ts';
import { accessOf } from './access.ts';
import { readDigestRequest, type DigestRequest } from './digest-request.ts';
import { DIGESTS_MAX } from './limits.ts';
import { PLAN_READS, writePlan } from './plan-wire.ts';
import type { DataPlaneParts } from './service.ts';

/** Shorter than this a URL is of no use: its bytes are on their way when it ends. */
const URL_MS_MIN = 2_000;
const HEX_SHA256 = /^[0-9a-f]{64}$/;

/** Plans of what agents fetch from the bucket and put there by themselves, and what becomes of that. */
export function directTransferService(parts: DataPlaneParts): ServedService {
  const { env } = parts;
  const handlers: Omit<DirectTransferHandlers, 'PlanReads'> = {
    BeginUploads: unary(env, 'BeginUploads', async ({ instanceName }, call) => {
      const { view } = attemptOf(parts, instanceName, call);
      const { owner, producer, writtenAt } = await writesOf(parts).begin(view, call.signal);
      return { ...owner, producer, writtenAtMs: writtenAt };
    }),
    PlanUpload: unary(env, 'PlanUpload', (request, call) => planUpload(parts, request, call)),
    CommitUpload: unary(env, 'CommitUpload', (request, call) => commitUpload(parts, request, call)),
  };
  const byHand = { PlanReads: unary(env, 'PlanReads', (request: DigestRequest, call) => planReads(parts, request, call)) };
  const { service } = loadProto().switchyard.v1.DirectTransfer;
  const requestDeserialize = (bytes: Buffer) => readDigestRequest(bytes, PLAN_READS);
  const definition = { ...service, PlanReads: { ...service.PlanReads, requestDeserialize, responseSerialize: writePlan } };
  return { definition, handlers: { ...handlers, ...byHand } };
}

/** For whom the call is made. @throws {Fault} FORBIDDEN for all but attempts; GRANT_EXPIRED where too little of the lease is left */
function attemptOf(
  parts: DataPlaneParts,
  instanceName: string,
  call: Call,
): { readonly view: StoreView; readonly attempt: UploadingAttempt } {
  const { view, attempt } = accessOf(parts, instanceName, call);
  if (attempt === undefined) throw new Fault('FORBIDDEN', 'URLs are for attempts: others read and store by ByteStream');
  const { token, expiresAt } = attempt;
  const ttlMs = expiresAt - parts.env.clock.now();
  if (ttlMs < URL_MS_MIN) throw new Fault('GRANT_EXPIRED', 'The grant ends too soon for a URL: ask again with the next one');
  return { view, attempt: { id: token, ttlMs, isOpen: () => parts.grants.isOpen(token) } };
}

async function planReads(parts: DataPlaneParts, request: DigestRequest, call: Call): Promise<BulkPlan> {
  const { view, attempt } = attemptOf(parts, request.instanceName, call);
  if (parts.direct === undefined) throw new Fault('UNIMPLEMENTED', 'This store has no URLs: read by ByteStream');
  if (request.count > DIGESTS_MAX)
    throw new Fault('BAD_REQUEST', `digests has ${request.count} entries; ask for at most ${DIGESTS_MAX} at once`, {
      field: 'digests',
    });
  return await parts.direct.plan(view, request.digests(), attempt, call.signal);
}

function writesOf({ direct }: DataPlaneParts) {
  if (direct?.writes === undefined) throw new Fault('UNIMPLEMENTED', 'This store takes no packs: store by ByteStream');
  return direct.writes;
}

async function planUpload(parts: DataPlaneParts, request: PlanUploadRequest__Output, call: Call): Promise<PlanUploadResponse> {
  const { view, attempt } = attemptOf(parts, request.instanceName, call);
  const lengthBytes = countFromProto(request.sizeBytes, 'size_bytes');
  if (!HEX_SHA256.test(request.sha256))
    throw new Fault('BAD_REQUEST', 'sha256 is not the hex SHA-256 of the pack: 64 digits in lower case', { field: 'sha256' });
  return await writesOf(parts).plan(view, attempt, { lengthBytes, sha256Hex: request.sha256 }, call.signal);
}

async function commitUpload(parts: DataPlaneParts, request: CommitUploadRequest__Output, call: Call): Promise<Record<string, never>> {
  const { view, attempt } = attemptOf(parts, request.instanceName, call);
  await writesOf(parts).commit(view, attempt, request.upload, call.signal);
  return {};
}
