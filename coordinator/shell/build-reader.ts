import { buildOf, type BuildId, type StepId } from '../core/ids.ts';
import type { LedgerRecord } from '../core/record.ts';
import { Scheduler } from '../core/scheduler.ts';
import type { SharedLedger } from '../ledger/ledger.ts';
import type { CoreView } from './core-view.ts';

/** A view of builds that only the records of those builds are known of; agents, holds and the queue are not in it. */
export function viewOfRecords(records: readonly LedgerRecord[]): CoreView {
  const scheduler = new Scheduler({ nonce: '0', seed: 0 }); // it is only looked at: it gives out no token and draws nothing
  scheduler.restore(records);
  return scheduler;
}

/** Reads single builds from the ledger, for coordinators that do not lead. Every answer is of what is durable. */
export interface BuildReader {
  /** The build as it is now; undefined where it is not there. @throws {Fault} LEDGER_UNAVAILABLE */
  read(build: BuildId, signal: AbortSignal): Promise<CoreView | undefined>;
  /** As `read`, but it may be an earlier read's view if no event came since: pages of a large build need not load it anew. */
  readPage(build: BuildId, signal: AbortSignal): Promise<CoreView | undefined>;
  /** As `read`, with the builds of the steps that run on behalf of this one. */
  readStep(step: StepId, signal: AbortSignal): Promise<CoreView | undefined>;
}

type Kept = { readonly view: CoreView; readonly lastSeq: number; readonly readAt: number };

/** Views of large builds that are kept for their next page, and for how long. */
const KEPT_MAX = 2;
const KEPT_MS = 10_000;
/** A step that is merged points at the one that runs; more links than this would be a circle. */
const MERGES_MAX = 8;

export function openBuildReader(ledger: Pick<SharedLedger, 'records' | 'events'>, monotonic: () => number): BuildReader {
  const kept = new Map<BuildId, Kept>();
  const read = async (build: BuildId, signal: AbortSignal): Promise<CoreView | undefined> => {
    const records = await ledger.records(build, signal);
    if (records.length === 0) return undefined;
    const view = viewOfRecords(records);
    kept.delete(build);
    kept.set(build, { view, lastSeq: view.build(build)?.lastEventSeq ?? 0, readAt: monotonic() });
    for (const oldest of kept.keys()) if (kept.size > KEPT_MAX) kept.delete(oldest);
    return view;
  };
  return {
    read,
    async readPage(build, signal) {
      const known = kept.get(build);
      if (known === undefined || monotonic() - known.readAt > KEPT_MS) return read(build, signal);
      // Its last event and no other: a build that has left the ledger has none.
      const isSame = (await ledger.events(build, Math.max(0, known.lastSeq - 1), 2, signal)).length === 1;
      return isSame ? known.view : read(build, signal);
    },
    async readStep(step, signal) {
      const records = new Map<BuildId, readonly LedgerRecord[]>();
      for (let at = step, links = 0; links < MERGES_MAX; links += 1) {
        const build = buildOf(at);
        if (!records.has(build)) records.set(build, await ledger.records(build, signal));
        const into = mergedInto(records.get(build) ?? [], at);
        if (into === undefined) break;
        at = into;
      }
      if (records.get(buildOf(step))?.length === 0) return undefined;
      return viewOfRecords([...records.values()].flat());
    },
  };
}

function mergedInto(records: readonly LedgerRecord[], step: StepId): StepId | undefined {
  for (const record of records) {
    if (record.kind !== 'step' || record.id !== step) continue;
    const { state, endOf } = record.step;
    return state.kind === 'merged' ? state.into : endOf;
  }
  return undefined;
}
