import type { EventEmitter } from 'node:events';

/** The readable half of a gRPC call, on either side. */
export interface Source<T> extends EventEmitter {
  /** `null` where nothing is there yet; Node's streams say it so. */
  read(): T | null;
  readonly destroyed: boolean;
}

/** The writable half of a gRPC call, on either side. */
export interface Sink<T> extends EventEmitter {
  /** False once enough is buffered: the writer waits for `drain`. */
  write(message: T): boolean;
}

/** Told when we begin to wait for the other side, and when that is over. */
export interface Waiting {
  begin(): void;
  pause(): void;
}

/** The messages of `source` until it ends. @throws {unknown} the reason of `stop` as soon as that fires. */
export async function* readMessages<T>(source: Source<T>, stop: AbortSignal): AsyncGenerator<T, void, void> {
  let ended = false;
  let wake: () => void = () => {};
  const onReadable = () => wake();
  const onEnd = () => {
    ended = true;
    wake();
  };
  source.on('readable', onReadable);
  source.on('end', onEnd);
  stop.addEventListener('abort', onReadable);
  try {
    while (true) {
      stop.throwIfAborted();
      const message = source.destroyed ? null : source.read();
      if (message !== null) yield message;
      else if (ended) return;
      else await new Promise<void>((resolve) => (wake = resolve));
    }
  } finally {
    source.off('readable', onReadable);
    source.off('end', onEnd);
    stop.removeEventListener('abort', onReadable);
  }
}

/**
 * Writes `messages` to `sink`, never ahead of what it takes. Returns as soon as `stop` fires, even while a message is
 * awaited, and tells `messages` to end by `return()`: the other side has gone or has answered already, which is for the
 * caller to judge. Whatever `messages` throws after that is dropped. `waiting` is told of waits for room.
 */
export async function writeMessages<T>(sink: Sink<T>, messages: AsyncIterable<T>, stop: AbortSignal, waiting?: Waiting): Promise<void> {
  const iterator = messages[Symbol.asyncIterator]();
  let release: () => void = () => {};
  const onStop = () => release();
  stop.addEventListener('abort', onStop);
  let done = false;
  try {
    while (!stop.aborted) {
      const next = await new Promise<IteratorResult<T, unknown> | undefined>((resolve, reject) => {
        release = () => resolve(undefined);
        iterator.next().then(resolve, reject);
      });
      if (next === undefined || stop.aborted) return;
      if (next.done === true) {
        done = true;
        return;
      }
      if (sink.write(next.value)) continue;
      waiting?.begin();
      await drained(sink, stop);
      waiting?.pause();
    }
  } catch (error) {
    done = true; // an iterator that threw has ended
    throw error;
  } finally {
    stop.removeEventListener('abort', onStop);
    if (!done) Promise.resolve(iterator.return?.()).catch(() => {});
  }
}

async function drained(sink: EventEmitter, stop: AbortSignal): Promise<void> {
  if (stop.aborted) return;
  await new Promise<void>((resolve) => {
    const done = () => {
      sink.off('drain', done);
      stop.removeEventListener('abort', done);
      resolve();
    };
    sink.on('drain', done);
    stop.addEventListener('abort', done);
  });
}
