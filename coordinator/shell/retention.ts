import PQueue from 'p-queue';
import type { Env } from '../../base/env.ts';
import { isFault } from '../../base/fault.ts';
import type { Archive } from '../archive/archive.ts';
import type { BuildId } from '../core/ids.ts';
import type { BuildView } from '../core/view.ts';
import type { CoreView } from './core-view.ts';
import type { Driver } from './driver.ts';

export type RetentionOptions = {
  readonly core: Pick<CoreView, 'builds' | 'build'>;
  readonly driver: Driver;
  readonly archive: Pick<Archive, 'keep'>;
  readonly env: Env;
  /** How long a build stays in the ledger after it ended. */
  readonly keepMs: number;
  /** How long an action of a build tool stays after its end; it goes without being archived. */
  readonly operationKeepMs: number;
  /** Ended builds that stay at most, and their steps; the oldest go first. */
  readonly keepCount: number;
  readonly keepSteps: number;
  /** Ended builds that stay at most while the archive takes none: what is older is then given up. */
  readonly hardCount: number;
  /** Time between two looks. */
  readonly everyMs: number;
};

/** Builds that leave between two looks at all of them. */
const BATCH = 256;
/** Builds that are archived side by side: bounds what their documents take of memory. */
const ARCHIVERS = 4;
/** Failures in a row after which the archive is taken for away until the next look. */
const FAILURES_MAX = 3;
/** Longest wait for the store for one build. */
const KEEP_MS = 60_000;

/** Disposal ends the sweep that is under way: what it has not archived stays in the ledger. */
export interface Retention extends AsyncDisposable {
  /** Lets every build go that may; returns how many went. */
  sweep(): Promise<number>;
}

/**
 * Lets builds leave the ledger, with their logs, once they ended long enough ago or too much that is newer is kept. Each is
 * in the archive before it is forgotten. A crash between the two does no harm: the build is still in the ledger, which
 * readers ask first, and it is archived again. While the archive cannot take builds they stay, up to `hardCount`.
 */
export function startRetention(options: RetentionOptions): Retention {
  const stop = new AbortController();
  let running: Promise<number> | undefined;
  const sweep = (): Promise<number> => {
    running ??= sweepAll(options, stop.signal).finally(() => (running = undefined));
    return running;
  };
  const timer = setInterval(() => {
    sweep().catch((error: unknown) => {
      if (stop.signal.aborted || isFault(error, 'LEDGER_UNAVAILABLE') || isFault(error, 'DRAINING')) return;
      options.env.log.error('retention-failed', { error });
    });
  }, options.everyMs);
  timer.unref();
  return {
    sweep,
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      stop.abort();
      await running?.catch(() => {}); // whoever called `sweep` hears of it
    },
  };
}

async function sweepAll(options: RetentionOptions, signal: AbortSignal): Promise<number> {
  const { log } = options.env;
  const passed = new Set<BuildId>();
  let goneCount = 0;
  while (!signal.aborted) {
    const batch = leaving(options)
      .filter((id) => !passed.has(id))
      .slice(0, BATCH);
    if (batch.length === 0) break;
    for (const id of batch) passed.add(id);
    await options.driver.settled(); // what is archived is durable in the ledger
    const { archived, failure } = await archiveAll(options, batch, signal);
    goneCount += archived;
    if (failure === undefined) continue;
    log.warn('builds-not-archived', { archived, waiting: leaving(options).length, error: failure });
    break;
  }
  if (goneCount > 0) log.info('builds-archived', { count: goneCount });
  return goneCount + (signal.aborted ? 0 : (await dropOperations(options)) + (await dropOverflow(options)));
}

/** Builds that may leave, oldest first. */
function leaving({ core, driver, keepMs, keepCount, keepSteps }: RetentionOptions): readonly BuildId[] {
  const endedBy = driver.now() - keepMs;
  let steps = 0;
  const views = endedBuilds(core).filter((view, index) => {
    steps += view.steps.length;
    return index >= keepCount || steps > keepSteps || (view.state.kind === 'ended' && view.state.at <= endedBy);
  });
  return views.map((view) => view.record.id).toReversed();
}

/** Newest first, without the actions of build tools. */
function endedBuilds(core: RetentionOptions['core']): readonly BuildView[] {
  return core.builds({ phase: 'ended', actions: false, limit: Number.MAX_SAFE_INTEGER });
}

/** What a build tool had run is in the action cache, and its log in the store: nothing of it is archived. */
async function dropOperations({ core, driver, operationKeepMs }: RetentionOptions): Promise<number> {
  const endedBy = driver.now() - operationKeepMs;
  const over = core.builds({ phase: 'ended', actions: true, endedBy, limit: Number.MAX_SAFE_INTEGER });
  const replies = await Promise.all(over.map(({ record }) => driver.submit({ kind: 'build-expired', id: record.id })));
  return replies.filter(({ kind }) => kind === 'done').length;
}

type Archived = { readonly archived: number; readonly failure: unknown };

/** Archives and forgets; `failure` is there where the archive seems to be away. A build that alone cannot be archived stays. */
async function archiveAll(options: RetentionOptions, batch: readonly BuildId[], signal: AbortSignal): Promise<Archived> {
  const queue = new PQueue({ concurrency: ARCHIVERS });
  let archived = 0;
  let failures = 0;
  let failure: unknown;
  const one = async (id: BuildId): Promise<void> => {
    if (failure !== undefined || signal.aborted) return;
    const view = options.core.build(id);
    if (view === undefined) return;
    try {
      await options.archive.keep(view, AbortSignal.any([signal, AbortSignal.timeout(KEEP_MS)]));
    } catch (error) {
      if (signal.aborted) return;
      failures += 1;
      if (failures >= FAILURES_MAX || batch.length <= failures) failure = error;
      else options.env.log.warn('build-not-archived', { build: id, error });
      return;
    }
    failures = 0;
    if (await forget(options, view)) archived += 1;
  };
  await queue.addAll(batch.map((id) => () => one(id)));
  return { archived, failure };
}

/** Whether the build has left. One that changed since it was looked at stays for the next look. */
async function forget({ core, driver }: RetentionOptions, seen: BuildView): Promise<boolean> {
  const { id } = seen.record;
  // Nothing is waited for between this look and the event's application.
  if (core.build(id)?.lastEventSeq !== seen.lastEventSeq) return false;
  return (await driver.submit({ kind: 'build-expired', id })).kind === 'done';
}

async function dropOverflow(options: RetentionOptions): Promise<number> {
  const { core, driver, env, hardCount } = options;
  const dropped = endedBuilds(core).slice(hardCount);
  const replies = await Promise.all(dropped.map((view) => driver.submit({ kind: 'build-expired', id: view.record.id })));
  const count = replies.filter((reply) => reply.kind === 'done').length;
  if (count > 0) env.log.error('builds-dropped', { count, kept: hardCount, because: 'the archive takes none and the ledger is full' });
  return count;
}
