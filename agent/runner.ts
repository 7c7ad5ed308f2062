import { carryOut, type AttemptHost } from './attempt/attempt.ts';
import { AttemptStopped, reportOf } from './attempt/report.ts';
import type { AttemptReport } from '../cache/action/result.ts';
import type { BlobStore } from '../cache/blob-store.ts';
import type { AttemptListener, AttemptTerms, Executor } from './session/executor.ts';
import type { Offer } from './session/message.ts';
import { deadlineAt, type Deadline, type MovableDeadline } from './spawn/deadline.ts';
import type { Spool } from './spool/spool.ts';

/** At most one `logged` in this time, so that a chatty step does not keep the session busy. */
const LOGGED_EVERY_MS = 25;

export type RunnerOptions = AttemptHost & {
  readonly spool: Pick<Spool, 'createLog'>;
  /**
   * The data plane as an attempt sees it: `instanceName` names the part of it that inputs come from and outputs go to; `token` is the
   * attempt's; `onStaged` as with `MovableDataPlane.withGrant`.
   */
  readonly store: (instanceName: string, token: string, onStaged: () => void) => BlobStore;
};

/** Runs attempts for real. Disposing it waits until all of them have ended and left nothing: cancel them before. */
export interface Runner extends Executor, AsyncDisposable {}

export function startRunner(options: RunnerOptions): Runner {
  const running = new Set<Promise<void>>();
  return {
    begin(offer, terms, listener) {
      const control = new AbortController();
      const go = Promise.withResolvers<Deadline | undefined>();
      let deadline: MovableDeadline | undefined;
      const done = attempt(options, { offer, terms, listener, go: go.promise, signal: control.signal })
        .catch((error: unknown) => options.env.log.error('attempt-not-tidied', { token: offer.token, error }))
        .finally(() => running.delete(done));
      running.add(done);
      return {
        run(at) {
          deadline = at === undefined ? undefined : deadlineAt(at);
          go.resolve(deadline);
        },
        extend: (at) => deadline?.moveTo(at),
        cancel: (cause) => control.abort(new AttemptStopped(cause)),
      };
    },
    async [Symbol.asyncDispose]() {
      await Promise.allSettled(running);
    },
  };
}

type Begun = {
  readonly offer: Offer;
  readonly terms: AttemptTerms;
  readonly listener: AttemptListener;
  readonly go: Promise<Deadline | undefined>;
  readonly signal: AbortSignal;
};

/** The report goes out before the workspace is removed: nobody waits for the tidying up. */
async function attempt(options: RunnerOptions, { offer, terms, listener, go, signal }: Begun): Promise<void> {
  await using leftovers = new AsyncDisposableStack();
  let report: AttemptReport;
  try {
    const log = options.spool.createLog(offer.token, terms.logBytesMax, options.onTrouble);
    using logged = throttle(() => listener.logged(log.size), LOGGED_EVERY_MS);
    let staged = false;
    const store = options.store(offer.instanceName, offer.token, () => (staged = true));
    const isStaged = () => staged;
    report = await carryOut(options, { offer, store, isStaged, log, logged: logged.call, listener, go, signal, leftovers });
  } catch (error) {
    options.onTrouble(error);
    report = reportOf(error, 'prepare', signal, undefined);
  }
  listener.finished(report);
}

/** Calls `run` at once, then at most every `everyMs` as long as `call` is called; a last time when disposed, where it is owed. */
function throttle(run: () => void, everyMs: number): { readonly call: () => void } & Disposable {
  let timer: NodeJS.Timeout | undefined;
  let owed = false;
  const tick = () => {
    timer = undefined;
    if (owed) call();
  };
  const call = () => {
    owed = timer !== undefined;
    if (owed) return;
    run();
    timer = setTimeout(tick, everyMs);
  };
  return {
    call,
    [Symbol.dispose]() {
      clearTimeout(timer);
      timer = undefined;
      if (owed) run();
    },
  };
}
