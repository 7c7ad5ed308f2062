import type { Clock } from '../../base/clock.ts';
import type { Env } from '../../base/env.ts';
import { isFault } from '../../base/fault.ts';
import { countFromProto, digestFromProto, digestToProto } from '../../proto/convert.ts';
import { callUnary } from '../../proto/dial.ts';
import type { PlanReadsResponse__Output } from '../../proto/gen/switchyard/v1/PlanReadsResponse.ts';
import type { Digest } from '../digest.ts';
import type { DirectPlan, FrameToRead, PlanReads } from '../direct/plan.ts';
import type { DataPlaneClients, ShownMetadata } from './client.ts';

/** Whoever waits for a plan for longer has the bytes sooner through the data plane. */
const PLAN_DEADLINE_MS = 10_000;
/** What is left of a URL's time when its use begins. */
const MARGIN_MS = 1_000;

export type ReadPlannerOptions = {
  /** Looked into for each call. */
  readonly clients: DataPlaneClients;
  /** Connections to servers that have no plans; a server that is dialled anew is asked anew. */
  readonly withoutPlans: WeakSet<object>;
  readonly instanceName: string;
  readonly metadata: ShownMetadata;
  /** Whether there is a grant to show: nobody else gets URLs. */
  readonly hasGrant: () => boolean;
  readonly closing: AbortSignal;
  readonly env: Env;
};

/** Asks the data plane where blobs are in the bucket. Once only: whoever gets no plan has another way. */
export function readPlanner(options: ReadPlannerOptions): PlanReads {
  const { clients, withoutPlans, instanceName, metadata, hasGrant, closing, env } = options;
  return async (digests, signal) => {
    const client = clients.direct;
    if (!hasGrant() || withoutPlans.has(client)) return undefined;
    const either = AbortSignal.any([signal, closing]);
    try {
      const request = { instanceName, digests: digests.map(digestToProto) };
      const askedAt = env.clock.monotonic();
      const call = { signal: either, deadlineMs: PLAN_DEADLINE_MS, metadata: metadata() };
      return planFrom(await callUnary(client, 'planReads', request, call), askedAt);
    } catch (error) {
      signal.throwIfAborted();
      if (isFault(error, 'UNIMPLEMENTED')) withoutPlans.add(client);
      else env.log.debug('no-plan-of-reads', { error });
      return undefined;
    }
  };
}

/** `askedAt` by the monotonic clock: the URLs were made after it. @throws {Fault} BAD_REQUEST naming what cannot be understood */
function planFrom(answer: PlanReadsResponse__Output, askedAt: ReturnType<Clock['monotonic']>): DirectPlan {
  const frames: FrameToRead[] = [];
  for (const { url, frames: within } of answer.packs) {
    const pack = new URL(url).pathname;
    for (const { offset, storedBytes, rawBytes, zstd, blobs } of within) {
      const frame = {
        pack,
        offset: countFromProto(offset, 'frames.offset'),
        storedBytes: countFromProto(storedBytes, 'frames.stored_bytes'),
        rawBytes: countFromProto(rawBytes, 'frames.raw_bytes'),
        encoding: zstd ? 'zstd' : 'raw',
      } as const;
      const inside = blobs.map((blob) => ({
        digest: digestFromProto(blob.digest, 'blobs.digest'),
        offset: countFromProto(blob.offset, 'blobs.offset'),
        length: countFromProto(blob.length, 'blobs.length'),
      }));
      frames.push({ frame, url, blobs: inside });
    }
  }
  const large = new Map<Digest, readonly Digest[]>();
  for (const { digest, pieces } of answer.large)
    large.set(
      digestFromProto(digest, 'large.digest'),
      pieces.map((piece) => digestFromProto(piece, 'large.pieces')),
    );
  return { frames, large, worksUntil: askedAt + countFromProto(answer.urlTtlMs, 'url_ttl_ms') - MARGIN_MS };
}
