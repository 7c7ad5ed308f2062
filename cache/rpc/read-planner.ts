import type { Clock } from '../../base/clock.ts';
import type { Env } from '../../base/env.ts';
import { isFault } from '../../base/fault.ts';
import { callUnary } from '../../proto/dial.ts';
import type { DirectPlan, FrameToRead, PlanReads } from '../direct/plan.ts';
import type { DataPlaneClients, ShownMetadata } from './client.ts';
import type { PlanAnswer } from './plan-wire.ts';

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
    const client = clients.plans;
    if (!hasGrant() || withoutPlans.has(client)) return undefined;
    const either = AbortSignal.any([signal, closing]);
    try {
      const askedAt = env.clock.monotonic();
      const call = { signal: either, deadlineMs: PLAN_DEADLINE_MS, metadata: metadata() };
      return planFrom(await callUnary(client, 'planReads', { instanceName, digests }, call), askedAt);
    } catch (error) {
      signal.throwIfAborted();
      if (isFault(error, 'UNIMPLEMENTED')) withoutPlans.add(client);
      else env.log.debug('no-plan-of-reads', { error });
      return undefined;
    }
  };
}

/** `askedAt` by the monotonic clock: the URLs were made after it. */
function planFrom({ packs, large, urlTtlMs }: PlanAnswer, askedAt: ReturnType<Clock['monotonic']>): DirectPlan {
  const frames: FrameToRead[] = [];
  for (const { url, frames: within } of packs) {
    const pack = new URL(url).pathname;
    for (const { frame, blobs } of within) frames.push({ frame: { pack, ...frame }, url, blobs });
  }
  return { frames, large, worksUntil: askedAt + urlTtlMs - MARGIN_MS };
}
