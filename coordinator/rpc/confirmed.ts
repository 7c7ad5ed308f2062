import { Fault } from '../../base/fault.ts';
import type { Driver } from '../shell/driver.ts';
import type { Reply } from '../core/outcome.ts';

/** Silence of the ledger after which nothing new is begun. */
const SILENT_MS = 3_000;
/** Longest wait of a caller for what it began: below the deadlines that callers set themselves, so that they learn why. */
const WAIT_MS = 15_000;
const AGAIN_MS = 2_000;

/**
 * The outcome of something that the ledger has to confirm. While the ledger confirms nothing (it is full, read-only or silent)
 * nothing new is begun, and who waits already is told after a while. What was begun is on its way to the ledger, and what it
 * leads to on its way to agents, before anything is done here for the caller: each is left a turn of the event loop.
 * @throws {Fault} LEDGER_UNAVAILABLE; where `begin` was called, whether it counts is then unknown.
 */
export async function confirmed<T>(driver: Pick<Driver, 'behindMs'>, begin: () => Promise<T>, waitMs = WAIT_MS): Promise<T> {
  if (driver.behindMs > SILENT_MS) {
    throw new Fault('LEDGER_UNAVAILABLE', `The ledger has confirmed nothing for ${seconds(driver.behindMs)}: nothing new is taken`, {
      hint: 'The log of the coordinator that leads says why. Try again later; nothing was begun.',
      retryAfterMs: AGAIN_MS,
    });
  }
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  let timer: NodeJS.Timeout | undefined;
  const next = (run: () => void) => void setImmediate(run);
  begin().then(
    (value) =>
      next(() => {
        clearTimeout(timer);
        resolve(value);
      }),
    (error: unknown) =>
      next(() => {
        clearTimeout(timer);
        reject(error);
      }),
  );
  next(() => (timer = setTimeout(() => reject(unconfirmed(waitMs)), waitMs)));
  return promise;
}

function unconfirmed(waitMs: number): Fault {
  return new Fault('LEDGER_UNAVAILABLE', `The ledger has not confirmed this within ${seconds(waitMs)}`, {
    hint: 'Whether it counts is unknown: repeat it with the same key, or look.',
    retryAfterMs: AGAIN_MS,
  });
}

function seconds(ms: number): string {
  return `${Math.round(ms / 1_000)} s`;
}

/** A refusal of the core as a fault. */
export function refusalOf(reply: Reply): Fault {
  if (reply.kind !== 'refused') return new Fault('INTERNAL', `An event was answered with ${reply.kind}`);
  const { field, retryAfterMs } = reply;
  return new Fault(reply.code, reply.message, {
    ...(field === undefined ? {} : { field }),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  });
}
