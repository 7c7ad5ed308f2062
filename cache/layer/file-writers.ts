import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import type { Clock } from '../../base/clock.ts';
import { FAULTS, Fault, type FaultCode } from '../../base/fault.ts';
import type { Digest } from '../digest.ts';
import type { FrameIn } from '../packs/frame.ts';
import type { LinkedDirectory } from './link-tree.ts';

/** A file that is to be made of `length` bytes at `offset` of its request's buffer, as `placeBytes` makes it. */
export type FileToWrite = {
  readonly path: string;
  readonly digest: Digest;
  readonly mode: number;
  readonly mtimeS: number;
  readonly offset: number;
  readonly length: number;
};

/** Files that are to be made of a frame's blobs: `offset` and `length` of each are in the frame's raw bytes, which come from `at` of the request's buffer. */
export type FrameToUnpack = { readonly frame: FrameIn; readonly at: number; readonly files: readonly FileToWrite[] };

/** What a thread is asked for. */
export type FileRequest =
  | { readonly kind: 'unpack'; readonly id: number; readonly frames: readonly FrameToUnpack[]; readonly bytes: ArrayBuffer }
  | { readonly kind: 'write'; readonly id: number; readonly files: readonly FileToWrite[]; readonly bytes: ArrayBuffer }
  | { readonly kind: 'link'; readonly id: number; readonly directories: readonly LinkedDirectory[] };
export type FileAnswer = {
  readonly id: number;
  /** Directories that are not linked yet. */
  readonly left?: readonly LinkedDirectory[];
  /** Blobs that were not what their digests say. */
  readonly damaged?: readonly Digest[];
  readonly failure?: { readonly fault: boolean; readonly code: string | undefined; readonly message: string; readonly path?: string };
};

/** Threads that make many small files, which costs the kernel's time more than ours. Started when first needed. */
export interface FileWriters extends AsyncDisposable {
  /** How many write at once. */
  readonly count: number;
  /**
   * Makes the files; `bytes` belongs to the threads from then on. @throws {Fault} as `placeBytes`; the first error, after which files of the
   * request may be missing.
   */
  write(files: readonly FileToWrite[], bytes: ArrayBuffer): Promise<void>;
  /**
   * Decodes the frames and makes the files as `write` does; returns the blobs that were not what their digests say, of which no file is made.
   * `bytes` belongs to the threads from then on. @throws {Fault} as `placeBytes`, but for them
   */
  unpack(frames: readonly FrameToUnpack[], bytes: ArrayBuffer): Promise<readonly Digest[]>;
  /** Makes a part of what `linkTree` makes, and returns the directories that are left to do. @throws the file system's error */
  link(directories: readonly LinkedDirectory[]): Promise<readonly LinkedDirectory[]>;
}

const THREADS_MAX = 8;
/** Threads that had nothing to do for this long end: an agent is mostly idle. */
const IDLE_MS = 10_000;

type Waiting = { readonly resolve: (answer: FileAnswer) => void; readonly reject: (error: unknown) => void };
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
  const ask = async (request: FileRequest, given: ArrayBuffer[]): Promise<FileAnswer> => {
    usedAt = clock.monotonic();
    idle ??= setInterval(endIfIdle, IDLE_MS).unref();
    if (threads.length < count && threads.every(({ waiting }) => waiting.size > 0)) threads.push(startThread());
    const thread = threads.reduce((least, one) => (one.waiting.size < least.waiting.size ? one : least));
    const { promise, resolve, reject } = Promise.withResolvers<FileAnswer>();
    thread.waiting.set(request.id, { resolve, reject });
    thread.worker.ref();
    thread.worker.postMessage(request, given);
    try {
      return await promise;
    } finally {
      usedAt = clock.monotonic();
      if (thread.waiting.size === 0) thread.worker.unref();
    }
  };
  return {
    count,
    write: async (files, bytes) => void (await ask({ kind: 'write', id: nextId++, files, bytes }, [bytes])),
    unpack: async (frames, bytes) => (await ask({ kind: 'unpack', id: nextId++, frames, bytes }, [bytes])).damaged ?? [],
    link: async (directories) => (await ask({ kind: 'link', id: nextId++, directories }, [])).left ?? [],
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
  worker.on('message', (answer: FileAnswer) => {
    const asked = waiting.get(answer.id);
    waiting.delete(answer.id);
    if (answer.failure === undefined) asked?.resolve(answer);
    else asked?.reject(errorOf(answer.failure));
  });
  worker.on('error', failAll);
  worker.on('exit', () => failAll(new Fault('CANCELLED', 'The threads that write files were stopped')));
  return { worker, waiting };
}

function errorOf({ fault, code, message, path }: NonNullable<FileAnswer['failure']>): Error {
  if (fault && code !== undefined && code in FAULTS) return new Fault(code as FaultCode, message); // a key of the table
  return Object.assign(new Error(path === undefined ? message : `${message} (making "${path}")`), { code });
}
