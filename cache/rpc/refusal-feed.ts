import type { Env } from '../../base/env.ts';
import type { GatheredNote } from '../../base/gather-notes.ts';
import { callUnary, dial, type Link } from '../../proto/dial.ts';
import type { RefusalBatch__Output } from '../../proto/gen/switchyard/v1/RefusalBatch.ts';
import { loadProto } from '../../proto/load.ts';

export type RefusalFeedOptions = {
  readonly link: Link;
  /** Writes them down. Where that fails they come again. */
  readonly keep: (refusals: readonly Omit<GatheredNote, 'at'>[]) => Promise<void>;
  readonly env: Env;
  /** @default 1000 */
  readonly everyMs?: number;
};

const EVERY_MS = 1_000;
const DEADLINE_MS = 5_000;
/** For what was refused just before the end. */
const LAST_DEADLINE_MS = 1_000;

/**
 * Brings what a data plane refuses into a record, again and again. Nothing is lost while it, or the record, is away: what it refuses
 * meanwhile it gathers. Disposal brings what there is a last time.
 */
export function openRefusalFeed({ link, keep, env, everyMs = EVERY_MS }: RefusalFeedOptions): AsyncDisposable {
  const client = dial(loadProto().switchyard.v1.DataAccess, link, 'control');
  const closing = new AbortController();
  const never = new AbortController().signal;
  let kept: string[] = [];
  let isAway = false;
  let timer: NodeJS.Timeout | undefined;
  const bring = async (signal: AbortSignal, deadlineMs: number) => {
    const { batches } = await callUnary(client, 'takeRefusals', { keptBatches: kept }, { signal, deadlineMs });
    if (batches.length > 0) await keep(batches.flatMap(refusalsOf));
    kept = batches.map(({ id }) => id);
  };
  const look = async () => {
    try {
      await bring(closing.signal, DEADLINE_MS);
      isAway = false;
    } catch (error) {
      if (!isAway && !closing.signal.aborted) env.log.warn('refusals-not-kept', { error });
      isAway = true;
    }
    if (!closing.signal.aborted) timer = setTimeout(begin, everyMs).unref();
  };
  let looking: Promise<void> = Promise.resolve();
  const begin = () => void (looking = look());
  timer = setTimeout(begin, everyMs).unref();
  return {
    async [Symbol.asyncDispose]() {
      closing.abort();
      clearTimeout(timer);
      await looking;
      await bring(never, LAST_DEADLINE_MS).catch((error: unknown) => env.log.debug('refusals-not-kept', { error }));
      client.close();
    },
  };
}

function refusalsOf({ refusals }: RefusalBatch__Output): readonly Omit<GatheredNote, 'at'>[] {
  return refusals.map(({ actor, subject, detail, peer, count }) => ({
    note: { act: 'call', outcome: 'refused', actor, subject, detail, peer },
    count: Number(count),
  }));
}
