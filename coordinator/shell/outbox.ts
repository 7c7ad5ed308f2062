import { Fault } from '../../base/fault.ts';

/**
 * Messages on their way to one slow or fast reader. `push` never waits; whoever does not keep up is cut off, so that one
 * reader's slowness costs the process a bounded amount of memory.
 */
export interface Outbox<T> {
  push(message: T): void;
  /** No more messages: the reader ends after those that are there, by throwing `fault` where one is given. */
  close(fault?: Fault): void;
  /** What was pushed, in order, all that is there at once. One reader only. @throws {Fault} LIMIT_EXCEEDED where it was cut off */
  batches(signal: AbortSignal): AsyncIterable<readonly T[]>;
  /** Messages that the reader has not taken. */
  readonly waiting: number;
  /** Resolves when the reader is cut off, which may well be stuck in the middle of a batch and never ask for another. */
  readonly cut: Promise<Fault>;
}

export type OutboxLimits = {
  /** Messages waiting for the reader before it is cut off. */
  readonly waitingMax: number;
  /** Messages of one batch. */
  readonly batchMax: number;
};

/** `onCut` hears of it when the reader is cut off. */
export function openOutbox<T>(limits: OutboxLimits, onCut: () => void = () => {}): Outbox<T> {
  let waiting: T[] = [];
  let state: 'open' | 'closed' | 'cut' = 'open';
  let end: Fault | undefined;
  let wake: (() => void) | undefined;
  /** Whether a batch has left in this turn of the event loop. */
  let busy = false;
  const cut = Promise.withResolvers<Fault>();
  const stir = () => {
    wake?.();
    wake = undefined;
  };
  const batches = async function* batches(signal: AbortSignal): AsyncGenerator<readonly T[]> {
    signal.addEventListener('abort', stir, { once: true });
    try {
      while (!signal.aborted) {
        if (state === 'cut') throw cutOff(limits);
        if (waiting.length > 0) {
          const batch = waiting.length <= limits.batchMax ? waiting : waiting.slice(0, limits.batchMax);
          waiting = batch === waiting ? [] : waiting.slice(limits.batchMax);
          yield batch;
        } else if (state === 'closed') {
          if (end !== undefined) throw end;
          return;
        } else {
          const { promise, resolve } = Promise.withResolvers<void>();
          wake = resolve;
          await promise;
          // What one commit brought is pushed without a break, so it is all there by now and leaves at once. What comes later
          // in the same turn waits for its end, so that a flood does not travel message by message.
          if (busy) await new Promise<void>((next) => void setImmediate(next));
          busy = true;
          setImmediate(() => (busy = false));
        }
      }
    } finally {
      signal.removeEventListener('abort', stir);
    }
  };
  return {
    cut: cut.promise,
    get waiting() {
      return waiting.length;
    },
    push(message) {
      if (state !== 'open') return;
      waiting.push(message);
      if (waiting.length > limits.waitingMax) {
        state = 'cut';
        waiting = [];
        cut.resolve(cutOff(limits));
        onCut();
      }
      stir();
    },
    close(fault) {
      if (state === 'open') {
        state = 'closed';
        end = fault;
      }
      stir();
    },
    batches,
  };
}

function cutOff(limits: OutboxLimits): Fault {
  return new Fault('LIMIT_EXCEEDED', `The reader left ${limits.waitingMax} messages unread and was cut off`, { retryAfterMs: 1_000 });
}
