import { present, unreachable } from '../../base/assert.ts';
import type { Clock } from '../../base/clock.ts';
import { Fault, isFault } from '../../base/fault.ts';
import type { BlobStore } from '../../cache/blob-store.ts';
import { buildOf, nameOf, type BuildId, type StepId } from '../core/ids.ts';
import type { BuildEvent } from '../core/record.ts';
import type { SharedLedger, StoredLog } from '../ledger/ledger.ts';
import type { BuildReader } from './build-reader.ts';
import type { CoreView } from './core-view.ts';
import { instanceOf } from './describe.ts';
import type { Ear, HintFeed } from './hint-feed.ts';
import { blobPieces, endOf, readStored, type LogPiece } from './log-reader.ts';
import { logTarget, type LogTarget } from './log-target.ts';
import { stagedOr, type StepLogPiece, type StepLogRequest } from './step-log.ts';

export type LedgerLogOptions = {
  readonly ledger: Pick<SharedLedger, 'log' | 'events'>;
  readonly reader: BuildReader;
  readonly hints: HintFeed;
  readonly storeFor: (instanceName: string) => BlobStore;
  readonly clock: Clock;
};

const EMPTY: StoredLog = { segments: [], chunks: [], sealed: undefined };
const PAGE = 512;
/** How often the ledger is looked at though it gave no hint. */
const LOOK_MS = 2_000;
/** How long after an attempt's end the leader may take to make one blob of its log, before what there is counts as all. */
const SEAL_MS = 10_000;

/**
 * `readStepLog` for a coordinator that does not lead: what the ledger and the shared store have, followed by the ledger's hints.
 * @throws {Fault} STEP_UNKNOWN, LOG_UNKNOWN, OUT_OF_RANGE, STORE_UNAVAILABLE, LEDGER_UNAVAILABLE (also where the build has left
 * the ledger meanwhile: whoever reads on gets the rest from the archive)
 */
export async function* readLedgerLog(
  options: LedgerLogOptions,
  request: StepLogRequest,
  signal: AbortSignal,
): AsyncGenerator<StepLogPiece> {
  try {
    yield* piecesOf(options, request, signal);
  } catch (error) {
    if (!isFault(error, 'LOG_UNKNOWN')) throw error;
    const { step } = request;
    throw stagedOr(error, (await options.reader.readStep(step, signal))?.step(step)?.record);
  }
}

async function* piecesOf(options: LedgerLogOptions, request: StepLogRequest, signal: AbortSignal): AsyncGenerator<StepLogPiece> {
  const { step, offset } = request;
  while (!signal.aborted) {
    const view = await options.reader.readStep(step, signal);
    if (view === undefined) throw hasLeft(buildOf(step));
    const target = logTarget(view, step, request.attempt);
    switch (target.kind) {
      case 'none':
        yield { offset, bytes: new Uint8Array(0), complete: true, truncated: false, attempt: 0 };
        return;
      case 'result':
        for await (const piece of blobPieces(target.sealed, offset, storeOf(options, view, target.build), signal))
          yield { ...piece, attempt: 0 };
        return;
      case 'attempt':
        for await (const piece of readAttempt(options, request, view, target, signal)) yield { ...piece, attempt: target.number };
        return;
      case 'not-yet': {
        if (!request.follow) return;
        using ear = options.hints.listen(target.builds);
        await untilTouched(options, view, step, target.builds, ear, signal);
        break;
      }
      default:
        unreachable(target);
    }
  }
}

type Attempt = Extract<LogTarget, { kind: 'attempt' }>;

async function* readAttempt(
  options: LedgerLogOptions,
  request: StepLogRequest,
  view: CoreView,
  target: Attempt,
  signal: AbortSignal,
): AsyncGenerator<LogPiece> {
  const { ledger, hints, clock } = options;
  const store = storeOf(options, view, target.build);
  using ear = hints.listen([target.build]);
  const end = watchEnd(options, view, target);
  let { offset } = request;
  let endedAt: number | undefined;
  while (!signal.aborted) {
    // Before the log is read: an attempt that has ended gets no more bytes.
    const state = await end.look(signal);
    if (!state.running) endedAt ??= clock.monotonic();
    const stored = (await ledger.log(target.token, signal)) ?? EMPTY;
    const whole = stored.sealed ?? state.sealed;
    if (whole !== undefined) return yield* blobPieces(whole, offset, store, signal);
    if (endedAt !== undefined && (!request.follow || clock.monotonic() - endedAt >= SEAL_MS)) {
      return yield* readStored(stored, offset, store, signal);
    }
    if (offset < endOf(stored)) {
      for await (const piece of readStored(stored, offset, store, signal)) {
        offset = piece.offset + piece.bytes.byteLength;
        if (piece.bytes.byteLength > 0) yield { ...piece, complete: false };
      }
    }
    if (!request.follow) return;
    await ear.stirred(LOOK_MS, signal);
  }
}

/** Learns from the build's events whether the attempt goes on; the whole build is read again only once it has ended. */
function watchEnd(options: LedgerLogOptions, view: CoreView, target: Attempt) {
  const step = present(stepOfAttempt(view, target), 'the target is an attempt of a step of its build');
  let state = { running: target.running, sealed: target.sealed };
  let seq = view.build(target.build)?.lastEventSeq ?? 0;
  return {
    async look(signal: AbortSignal) {
      if (!state.running) return state;
      const events = await eventsAfter(options, target.build, seq, signal);
      seq = events.at(-1)?.seq ?? seq;
      const mayHaveEnded = events.some((event) => touches(event, nameOf(step)) && event.kind !== 'attempt-started');
      if (!mayHaveEnded) return state;
      const now = await options.reader.read(target.build, signal);
      const found = now?.step(step) === undefined ? undefined : logTarget(now, step, target.number);
      state = found?.kind === 'attempt' ? { running: found.running, sealed: found.sealed } : { ...state, running: false };
      return state;
    },
  };
}

function stepOfAttempt(view: CoreView, { build, token }: Attempt): StepId | undefined {
  return view.build(build)?.steps.find((step) => step.record.attempts.some((attempt) => attempt.token === token))?.id;
}

/** Returns when something happened to the step, or to one that it may be merged into. */
async function untilTouched(
  options: LedgerLogOptions,
  view: CoreView,
  step: StepId,
  builds: readonly BuildId[],
  ear: Ear,
  signal: AbortSignal,
): Promise<void> {
  const state = view.step(step)?.record.state;
  const names = [nameOf(step), ...(state?.kind === 'merged' ? [nameOf(state.into)] : [])];
  const seqs = new Map(builds.map((build) => [build, view.build(build)?.lastEventSeq ?? 0]));
  while (!signal.aborted) {
    for (const [build, seq] of seqs) {
      const events = await eventsAfter(options, build, seq, signal);
      if (events.some((event) => names.some((name) => touches(event, name)))) return;
      seqs.set(build, events.at(-1)?.seq ?? seq);
    }
    await ear.stirred(LOOK_MS, signal);
  }
}

/** A build's next events. @throws {Fault} LEDGER_UNAVAILABLE where it has left the ledger, the last event that was seen with it. */
async function eventsAfter({ ledger }: LedgerLogOptions, build: BuildId, seq: number, signal: AbortSignal): Promise<readonly BuildEvent[]> {
  const [seen, ...events] = await ledger.events(build, seq - 1, PAGE, signal);
  if (seen === undefined) throw hasLeft(build);
  return events;
}

function hasLeft(build: BuildId): Fault {
  return new Fault('LEDGER_UNAVAILABLE', `Build ${build} has left the ledger: read on from where the log broke off`, { retryAfterMs: 100 });
}

function touches(event: BuildEvent, name: string): boolean {
  return 'step' in event && event.step === name;
}

function storeOf({ storeFor }: LedgerLogOptions, view: CoreView, build: BuildId): BlobStore {
  return storeFor(instanceOf(view, build) ?? '');
}
