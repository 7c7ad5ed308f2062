import { Worker } from 'node:worker_threads';
import { Fault, type FaultCode } from '../../../base/fault.ts';
import type { SqliteStore } from './store.ts';

export type Method = Exclude<keyof SqliteStore, symbol>;

/** A call of a store in its thread; the thread answers calls in the order in which they came. */
export type StoreCall = { readonly id: number; readonly method: Method; readonly args: readonly unknown[] };

export type StoreAnswer =
  | { readonly id: number; readonly ok: true; readonly value: unknown }
  | {
      readonly id: number;
      readonly ok: false;
      readonly fault: {
        readonly code: FaultCode;
        readonly message: string;
        readonly hint: string | undefined;
        readonly field: string | undefined;
      };
    };

/** A store in a thread of its own: waiting for the disk or for another process holds up nobody. */
export type StoreThread = {
  /** @throws {Fault} what the store threw; STORE_UNAVAILABLE where the thread is gone. */
  call<M extends Method>(method: M, ...args: Parameters<SqliteStore[M]>): Promise<ReturnType<SqliteStore[M]>>;
  /** Resolves when the thread has ended. */
  readonly ended: Promise<void>;
};

/** Starts the thread and waits until it has opened the file. @throws {Fault} why it could not. */
export async function startStoreThread(path: string): Promise<StoreThread> {
  const worker = new Worker(new URL('./worker.ts', import.meta.url), { workerData: { path } });
  const waiting = new Map<number, { resolve: (value: unknown) => void; reject: (fault: Fault) => void }>();
  let gone: Fault | undefined;
  let lastId = 0;
  worker.on('message', (answer: StoreAnswer) => {
    const waiter = waiting.get(answer.id);
    waiting.delete(answer.id);
    if (answer.ok) return waiter?.resolve(answer.value);
    const { code, message, hint, field } = answer.fault;
    waiter?.reject(new Fault(code, message, { ...(hint === undefined ? {} : { hint }), ...(field === undefined ? {} : { field }) }));
  });
  const end = (cause: unknown) => {
    gone ??= new Fault('STORE_UNAVAILABLE', `The index ${path} is closed`, { cause });
    for (const waiter of waiting.values()) waiter.reject(gone);
    waiting.clear();
  };
  worker.on('error', end);
  const ended = new Promise<void>((resolve) => {
    worker.on('exit', (code) => {
      end(new Error(`the index's thread ended with ${code}`));
      resolve();
    });
  });
  const wait = (id: number) => new Promise((resolve, reject) => void waiting.set(id, { resolve, reject }));
  const call: StoreThread['call'] = async (method, ...args) => {
    if (gone !== undefined) throw gone;
    lastId += 1;
    const answer = wait(lastId);
    worker.postMessage({ id: lastId, method, args } satisfies StoreCall);
    return (await answer) as ReturnType<SqliteStore[typeof method]>; // the thread answers with what the method returned
  };
  try {
    await wait(0);
  } catch (error) {
    await worker.terminate();
    throw error;
  }
  return { call, ended };
}
