import { parentPort, Worker } from 'node:worker_threads';
import { assert, present } from './assert.ts';
import { detailOf, Fault, type FaultCode, type FaultDetail } from './fault.ts';

/** An object whose public members are methods with arguments and results that can be cloned. */
type Methods<S> = { readonly [M in Exclude<keyof S, symbol>]: (...args: never[]) => unknown };

export type MethodOf<S> = Exclude<keyof S, symbol>;

type Call = { readonly id: number; readonly method: PropertyKey; readonly args: readonly unknown[] };

type Answer =
  | { readonly id: number; readonly ok: true; readonly value: unknown }
  | { readonly id: number; readonly ok: false; readonly code: FaultCode; readonly message: string; readonly detail: FaultDetail };

/** The id of the answer that says whether the object was opened. */
const OPENED = 0;

/** An object in a thread of its own: waiting for the disk or for another process holds up nobody else. Calls are answered in order. */
export type Thread<S extends Methods<S>> = {
  /** @throws {Fault} what the method threw; `closed` of `startThread` where the thread is gone. */
  call<M extends MethodOf<S>>(method: M, ...args: Parameters<S[M]>): Promise<ReturnType<S[M]>>;
  /** Resolves when the thread has ended. */
  readonly ended: Promise<void>;
};

export type ThreadOptions = {
  /** A module that calls `serveThread`; named where the caller stands, so that tools see that it is used. */
  readonly module: URL;
  /** Its `workerData`. */
  readonly data: unknown;
  /** What calls get once the thread is gone. */
  readonly closed: (cause: unknown) => Fault;
};

/** Starts the thread and waits until it has opened its object. @throws {Fault} why it could not. */
export async function startThread<S extends Methods<S>>({ module, data, closed }: ThreadOptions): Promise<Thread<S>> {
  const worker = new Worker(module, { workerData: data });
  const waiting = new Map<number, { resolve: (value: unknown) => void; reject: (fault: Fault) => void }>();
  let gone: Fault | undefined;
  let lastId = OPENED;
  worker.on('message', (answer: Answer) => {
    const waiter = waiting.get(answer.id);
    waiting.delete(answer.id);
    if (answer.ok) waiter?.resolve(answer.value);
    else waiter?.reject(new Fault(answer.code, answer.message, answer.detail));
  });
  const end = (cause: unknown) => {
    gone ??= closed(cause);
    for (const waiter of waiting.values()) waiter.reject(gone);
    waiting.clear();
  };
  worker.on('error', end);
  const ended = new Promise<void>((resolve) => {
    worker.on('exit', (code) => {
      end(new Error(`its thread ended with ${code}`));
      resolve();
    });
  });
  const wait = (id: number) => new Promise((resolve, reject) => void waiting.set(id, { resolve, reject }));
  const call: Thread<S>['call'] = async (method, ...args) => {
    if (gone !== undefined) throw gone;
    lastId += 1;
    const answer = wait(lastId);
    worker.postMessage({ id: lastId, method, args } satisfies Call);
    return (await answer) as ReturnType<S[typeof method]>; // the thread answers with what the method returned
  };
  try {
    await wait(OPENED);
  } catch (error) {
    await worker.terminate();
    throw error;
  }
  return { call, ended };
}

/**
 * The other side, in the thread: opens the object, says so (or why not), and answers calls in order until `close` was one.
 * What is thrown goes to the caller as the fault that `faultOf` makes of it.
 */
export function serveThread<S extends Methods<S>>(open: () => S, faultOf: (error: unknown) => Fault, close: MethodOf<S>): void {
  const port = parentPort;
  assert(port !== null, 'this runs in a worker thread');
  let opened: S | undefined;
  const answer = (id: number, run: () => unknown): void => {
    let reply: Answer;
    try {
      reply = { id, ok: true, value: run() };
    } catch (error) {
      const fault = faultOf(error);
      reply = { id, ok: false, code: fault.code, message: fault.message, detail: detailOf(fault) };
    }
    port.postMessage(reply);
  };
  answer(OPENED, () => void (opened = open()));
  port.on('message', ({ id, method, args }: Call) => {
    answer(id, () => {
      const object = present(opened, 'calls come only after it was opened');
      return Reflect.apply(object[method as MethodOf<S>], object, args); // `Thread.call`, the only one to send, takes no other
    });
    if (method === close) port.close();
  });
}
