import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import type { Clock } from '../../base/clock.ts';
import { FAULTS, Fault, type FaultCode } from '../../base/fault.ts';
import type { Digest } from '../digest.ts';

/** A file that is to be made of `length` bytes at `offset` of its request's buffer, as `placeBytes` makes it. */
export type FileToWrite = {
  readonly path: string;
  readonly digest: Digest;
  readonly mode: number;
  readonly mtimeS: number;
  readonly offset: number;
  readonly length: number;
};

export type WriteRequest = { readonly id: number; readonly files: readonly FileToWrite[]; readonly bytes: ArrayBuffer };
export type WriteAnswer = {
  readonly id: number;
  readonly failure?: { readonly fault: boolean; readonly code: string | undefined; readonly message: string; readonly path: string };
};

/** Threads that verify and write small files, which costs the kernel's time more than ours. Started when first needed. */
export interface FileWriters extends AsyncDisposable {
  /** How many write at once. */
  readonly count: number;
  /**
   * Makes the files; `bytes` belongs to the threads from then on. @throws {Fault} as `placeBytes`; the first error, after which files of the
   * request may be missing.
   */
  write(files: readonly FileToWrite[], bytes: ArrayBuffer): Promise<void>;
}

const THREADS_MAX = 8;
/** Threads that had nothing to do for this long end: an agent is mostly idle. */
const IDLE_MS = 10_000;

type Waiting = { readonly resolve: () => void; readonly reject: (error: unknown) => void };
type Thread = { readonly worker: Worker; readonly waiting: Map<number, Waiting> };

export function openFileWriters(clock: Clock): FileWriters {
  const count = Math.min(availableParallelism(), THREADS_MAX);
  let threads: Thread[] = [];
  let nextId = 0;
  let usedAt = clock.monotonic();
  let idle: NodeJS.Timeout | undefined;
  const end = async () => {
    clearInterval(idle);
    idle = undefined;
    const ending = threads;
    threads = [];
    await Promise.all(ending.map(({ worker }) => worker.terminate()));
  };
  const endIfIdle = () => {
    const busy = threads.some(({ waiting }) => waiting.size > 0);
    if (!busy && clock.monotonic() - usedAt >= IDLE_MS) void end();
  };
  return {
    count,
    async write(files, bytes) {
      usedAt = clock.monotonic();
      idle ??= setInterval(endIfIdle, IDLE_MS).unref();
      if (threads.length < count && threads.every(({ waiting }) => waiting.size > 0)) threads.push(startThread());
      const thread = threads.reduce((least, one) => (one.waiting.size < least.waiting.size ? one : least));
      const id = nextId++;
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      thread.waiting.set(id, { resolve, reject });
      thread.worker.ref();
      thread.worker.postMessage({ id, files, bytes } satisfies WriteRequest, [bytes]);
      try {
        await promise;
      } finally {
        usedAt = clock.monotonic();
        if (thread.waiting.size === 0) thread.worker.unref();
      }
    },
    [Symbol.asyncDispose]: end,
  };
}

function startThread(): Thread {
  const worker = new Worker(new URL('./file-worker.ts', import.meta.url));
  const waiting = new Map<number, Waiting>();
  const failAll = (error: unknown) => {
    for (const { reject } of waiting.values()) reject(error);
    waiting.clear();
  };
  worker.on('message', ({ id, failure }: WriteAnswer) => {
    const asked = waiting.get(id);
    waiting.delete(id);
    if (failure === undefined) asked?.resolve();
    else asked?.reject(errorOf(failure));
  });
  worker.on('error', failAll);
  worker.on('exit', () => failAll(new Fault('CANCELLED', 'The threads that write files were stopped')));
  return { worker, waiting };
}

function errorOf({ fault, code, message, path }: NonNullable<WriteAnswer['failure']>): Error {
  if (fault && code !== undefined && code in FAULTS) return new Fault(code as FaultCode, message); // a key of the table
  return Object.assign(new Error(`${message} (making "${path}")`), { code });
}
