import type { Clock } from '../../base/clock.ts';
import { Fault, isFault } from '../../base/fault.ts';
import type { BlobStore } from '../../cache/blob-store.ts';
import type { SharedLedger } from '../ledger/ledger.ts';
import type { BuildId } from '../core/ids.ts';
import type { BuildView } from '../core/view.ts';
import type { Role, RoleSource } from '../role/role.ts';
import { viewOfRecords, type BuildReader } from '../shell/build-reader.ts';
import type { CoreView } from '../shell/core-view.ts';
import type { HintFeed } from '../shell/hint-feed.ts';
import { readLedgerLog } from '../shell/ledger-log.ts';
import { watchLedger } from '../shell/ledger-watch.ts';
import { readStepLog, type StepLogPiece, type StepLogRequest } from '../shell/step-log.ts';
import { cursorOf, type WatchItem } from '../shell/watch.ts';
import { confirmed } from './confirmed.ts';
import { noLeader } from './forward.ts';

/** How builds are read while another coordinator leads. */
export type LedgerReads = {
  readonly ledger: SharedLedger;
  readonly reader: BuildReader;
  readonly hints: HintFeed;
  readonly storeFor: (instanceName: string) => BlobStore;
  readonly signOfLifeMs: number;
  readonly clock: Clock;
};

export type ReadOptions = {
  readonly role: RoleSource;
  /** Undefined where the ledger is of this process alone: then only a leader reads. */
  readonly reads: LedgerReads | undefined;
};

/** A build as it is at this moment, with the cursor of that; it changes under whoever keeps it. */
export type BuildNow = { readonly core: CoreView; readonly view: BuildView | undefined; readonly cursor: string };

/**
 * What `show` makes of the build as this coordinator sees it, by its role. The answer leaves once all that it shows is durable.
 * `page`: whether a view that is some moments old will do, if nothing happened since.
 * @throws {Fault} LEDGER_UNAVAILABLE, NO_LEADER; what `show` throws
 */
export async function readBuild<T>(
  options: ReadOptions,
  build: BuildId,
  page: boolean,
  signal: AbortSignal,
  show: (now: BuildNow) => T,
): Promise<T> {
  const role = await roleToRead(options, signal);
  if (role.kind === 'leading') {
    const { core, driver, watch } = role.shell;
    const view = core.build(build);
    const answer = show({ core, view, cursor: watch.cursorAt(view?.lastEventSeq ?? 0) });
    await confirmed(driver, () => driver.settled());
    return answer;
  }
  const { ledger, reader } = ledgerOf(options);
  const incarnation = await ledger.incarnation(signal);
  const core = (await (page ? reader.readPage(build, signal) : reader.read(build, signal))) ?? viewOfRecords([]);
  const view = core.build(build);
  return show({ core, view, cursor: cursorOf(incarnation, view?.lastEventSeq ?? 0) });
}

/** `Watch.events` over changes of this coordinator's role. @throws {Fault} as those; DRAINING when the process stops */
export async function* watchBuildEvents(
  options: ReadOptions,
  build: BuildId,
  cursor: string,
  signal: AbortSignal,
): AsyncGenerator<WatchItem> {
  for (let at = cursor; ;) {
    const role = await roleToRead(options, signal);
    // A follower that comes to lead reads on from the ledger: only what stood on a shell ends with it.
    const over = role.kind === 'leading' ? [role.over] : [];
    const either = AbortSignal.any([signal, options.role.stopping, ...over]);
    const items = role.kind === 'leading' ? role.shell.watch.events(build, at, either) : watchLedger(ledgerOf(options), build, at, either);
    try {
      for await (const item of items) {
        at = item.cursor;
        yield item;
      }
    } catch (error) {
      if (!either.aborted) throw error;
    }
    if (signal.aborted || !either.aborted) return;
    if (options.role.stopping.aborted) throw stopping();
  }
}

/** `readStepLog` under this coordinator's role; where that changes, the caller reads on from its offset. */
export async function* readLog(options: ReadOptions, request: StepLogRequest, signal: AbortSignal): AsyncGenerator<StepLogPiece> {
  const role = await roleToRead(options, signal);
  const over = role.kind === 'leading' ? [role.over] : [];
  const either = AbortSignal.any([signal, options.role.stopping, ...over]);
  try {
    yield* role.kind === 'leading' ? readStepLog(role.shell, request, either) : readLedgerLog(ledgerOf(options), request, either);
  } catch (error) {
    if (!either.aborted || (isFault(error) && error.code !== 'CANCELLED')) throw error;
  }
  if (signal.aborted || !either.aborted) return;
  if (options.role.stopping.aborted) throw stopping();
  throw new Fault('LEDGER_UNAVAILABLE', 'This coordinator leads no more: read on from where the log broke off', { retryAfterMs: 100 });
}

/** Longest wait for this process to lead, where nobody else can. */
const LEAD_MS = 5_000;

async function roleToRead({ role, reads }: ReadOptions, signal: AbortSignal): Promise<Role> {
  return reads === undefined ? role.known(LEAD_MS, signal) : role.current();
}

function ledgerOf({ reads, role }: ReadOptions): LedgerReads {
  if (reads === undefined) throw role.stopping.aborted ? stopping() : noLeader();
  return reads;
}

function stopping(): Fault {
  return new Fault('DRAINING', 'This coordinator is stopping: go on at another one, or when it is back', { retryAfterMs: 100 });
}
