import { randomInt } from 'node:crypto';
import type { EventEmitter } from 'node:events';
import { setImmediate as nextTurn } from 'node:timers/promises';
import {
  Metadata,
  type handleBidiStreamingCall,
  type handleClientStreamingCall,
  type handleServerStreamingCall,
  type handleUnaryCall,
} from '@grpc/grpc-js';
import { AssertionFailure, present } from '../base/assert.ts';
import type { Identity } from '../base/auth.ts';
import type { Env } from '../base/env.ts';
import { detailOf, Fault, isFault, type FaultCode } from '../base/fault.ts';
import { admissionOf, isPromise } from './admission.ts';
import { readMessages, writeMessages, type Source } from './flow.ts';
import { rawSink, type RawForm } from './raw-sink.ts';
import { faultToStatus, type CallStatus } from './status.ts';

/** What a handler knows of its call beyond the messages. */
export type Call = {
  /** Fires when the client cancels, its connection breaks, or its deadline passes; also once the call has been answered. */
  readonly signal: AbortSignal;
  /** Ends the call with `fault` at once, also where the client reads nothing and so whatever is sent to it is stuck. */
  readonly abort: (fault: Fault) => void;
  /** Who makes the call, as verified, and permitted to make it. Of an rpc that is open to everybody nobody knows. */
  readonly identity: Identity;
  /** host:port of the connection. */
  readonly peer: string;
  readonly metadata: Metadata;
  /** Says something beside the answer, ahead of it; for `CallerOptions.onMetadata`. Once at most. */
  readonly tell: (key: string, value: string) => void;
  /** When the client stops waiting, by the wall clock; Infinity where it waits for ever. */
  readonly deadlineAt: number;
};

/** What handlers get; `onCall` hears of each call that was answered, with its time in ms. */
export type CallEnv = Env & { readonly onCall?: (name: string, outcome: 'ok' | FaultCode, ms: number) => void };

/** What the four kinds of call have in common on the server's side. */
type Surface = EventEmitter & {
  readonly metadata: Metadata;
  getDeadline(): Date | number;
  getPeer(): string;
  sendMetadata(metadata: Metadata): void;
};

/*
 * Each of these makes a gRPC handler of a plain function. A Fault that the function throws becomes its status; anything
 * else is a bug: it is logged under `name` and answered as INTERNAL without its text.
 */

/** One request, one response. */
export function unary<Req, Res>(env: CallEnv, name: string, run: (request: Req, call: Call) => Promise<Res>): handleUnaryCall<Req, Res> {
  return (call, answer) => {
    settle(
      false,
      told(env, name),
      (context) => run(call.request, context),
      call,
      (response) => answer(null, response),
      (error, abandoned) => answer(statusOf(env, name, error, abandoned)),
    );
  };
}

/**
 * One request, many responses. They are pulled only as fast as the client reads; `run` is told to end by `signal` and `return()`.
 * With `raw`, responses are sent in that form.
 */
export function serverStream<Req, Res>(
  env: CallEnv,
  name: string,
  run: (request: Req, call: Call) => AsyncIterable<Res>,
  raw?: RawForm<Res>,
): handleServerStreamingCall<Req, Res> {
  return (call) => {
    const sink = (raw === undefined ? undefined : rawSink(call, raw)) ?? call;
    settle(
      true,
      told(env, name),
      (context) => writeMessages(sink, run(call.request, context), context.signal),
      call,
      () => call.end(),
      (error, abandoned) => void call.emit('error', statusOf(env, name, error, abandoned)),
    );
  };
}

/** Many requests, one response. `requests` ends only where the client ended it: a broken connection throws CANCELLED. */
export function clientStream<Req, Res>(
  env: CallEnv,
  name: string,
  run: (requests: AsyncIterable<Req>, call: Call) => Promise<Res>,
): handleClientStreamingCall<Req, Res> {
  return (call, answer) => {
    settle(
      true,
      told(env, name),
      (context) => run(requestsOf(call, context.signal), context),
      call,
      (response) => answer(null, response),
      (error, abandoned) => answer(statusOf(env, name, error, abandoned)),
    );
  };
}

/** Many of both; see `serverStream` and `clientStream`. The call ends when `run` has ended, whatever the client still sends. */
export function bidi<Req, Res>(
  env: CallEnv,
  name: string,
  run: (requests: AsyncIterable<Req>, call: Call) => AsyncIterable<Res>,
): handleBidiStreamingCall<Req, Res> {
  return (call) => {
    settle(
      true,
      told(env, name),
      (context) => writeMessages(call, run(requestsOf(call, context.signal), context), context.signal),
      call,
      () => call.end(),
      (error, abandoned) => void call.emit('error', statusOf(env, name, error, abandoned)),
    );
  };
}

/** Runs `work` with the call's context once it is known who calls, and hands on how it ended. */
function settle<T>(
  isStream: boolean,
  ended: (outcome: 'ok' | FaultCode) => void,
  work: (context: Call) => Promise<T>,
  call: Surface,
  done: (value: T) => void,
  failed: (error: unknown, abandoned: boolean) => void,
): void {
  const context = new Context(call);
  const admission = admissionOf(call);
  let open: Disposable | undefined;
  const begin = (identity: Identity | undefined): Promise<T> => {
    context.admit(identity);
    if (isStream) open = admission.opened(context.abort);
    return work(context);
  };
  // At once where it is known at once who calls: most calls are short, and turns of the queue of promises a good part of them.
  const run = (): Promise<T> => {
    try {
      const identity = admission.admit();
      return isPromise(identity) ? identity.then(begin) : begin(identity);
    } catch (error) {
      return Promise.reject(error);
    }
  };
  run().then(
    (value) => {
      context.answered = true;
      open?.[Symbol.dispose]();
      ended(context.broken?.code ?? 'ok');
      if (context.broken === undefined) done(value);
      else failed(context.broken, false);
    },
    (error: unknown) => {
      context.answered = true;
      open?.[Symbol.dispose]();
      admission.failed(context.broken ?? error);
      ended(context.broken?.code ?? (isFault(error) ? error.code : context.isOver ? 'CANCELLED' : 'INTERNAL'));
      if (context.broken === undefined) failed(error, context.isOver);
      else failed(context.broken, false);
    },
  );
}

/** Begins to measure a call. */
function told({ onCall, clock }: CallEnv, name: string): (outcome: 'ok' | FaultCode) => void {
  if (onCall === undefined) return () => {};
  const startedAt = clock.monotonic();
  return (outcome) => onCall(name, outcome, clock.monotonic() - startedAt);
}

const ANSWERED = new Fault('CANCELLED', 'The call has been answered');

/** A call as its handler sees it. The signal is made for those that ask for it: most calls are answered before anybody does. */
class Context implements Call {
  readonly deadlineAt: number;
  readonly abort: (fault: Fault) => void;
  readonly tell: (key: string, value: string) => void;
  /** What the handler broke the call off with. */
  broken: Fault | undefined;
  answered = false;
  readonly #call: Surface;
  #identity: Identity | undefined;
  #controller: AbortController | undefined;
  #reason: Fault | undefined;

  constructor(call: Surface) {
    this.#call = call;
    this.deadlineAt = Number(call.getDeadline());
    this.tell = (key, value) => {
      const told = new Metadata();
      told.set(key, value);
      call.sendMetadata(told);
    };
    this.abort = (fault) => {
      this.broken ??= fault;
      this.#end(fault);
    };
    call.on('cancelled', () => this.#end(this.answered ? ANSWERED : new Fault('CANCELLED', 'The client gave up on the call')));
  }

  get peer(): string {
    return this.#call.getPeer();
  }

  get metadata(): Metadata {
    return this.#call.metadata;
  }

  admit(identity: Identity | undefined): void {
    this.#identity = identity;
  }

  get identity(): Identity {
    return present(this.#identity, 'work begins once it is known who calls');
  }

  get isOver(): boolean {
    return this.#reason !== undefined;
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#reason !== undefined) this.#controller.abort(this.#reason);
    }
    return this.#controller.signal;
  }

  #end(reason: Fault): void {
    if (this.#reason !== undefined) return;
    this.#reason = reason;
    this.#controller?.abort(reason);
  }
}

/**
 * The client's messages. HTTP/2 in Node ends a stream that was reset as it ends one that was finished, and says which it
 * was a little later: so the end is believed only after a turn of the event loop.
 */
async function* requestsOf<Req>(call: Source<Req>, signal: AbortSignal): AsyncGenerator<Req, void, void> {
  yield* readMessages(call, signal);
  await nextTurn();
  signal.throwIfAborted();
}

/** Most callers that were refused together come back when they are told to: each is told another time, up to half as late again. */
function spread(fault: Fault): Fault {
  const { code, message, retryAfterMs } = fault;
  if (retryAfterMs === undefined) return fault;
  return new Fault(code, message, {
    ...detailOf(fault),
    retryAfterMs: retryAfterMs + randomInt(Math.floor(Math.max(0, retryAfterMs) / 2) + 1),
    cause: fault,
  });
}

/** `abandoned`: nobody waits for the answer any more, and `error` is most likely how the work was broken off. */
function statusOf(env: Env, name: string, error: unknown, abandoned: boolean): CallStatus {
  if (isFault(error) && error.code !== 'INTERNAL') return faultToStatus(spread(error));
  if (abandoned && !(error instanceof AssertionFailure)) {
    env.log.debug('call-abandoned', { call: name, error });
    return faultToStatus(new Fault('CANCELLED', 'The client gave up on the call'));
  }
  env.log.error('call-failed', { call: name, error });
  if (error instanceof AssertionFailure) {
    // A broken invariant ends the process; the answer has the time of one turn to leave.
    setImmediate(() => {
      throw error;
    });
  }
  return faultToStatus(new Fault('INTERNAL', `${name} failed inside the server; its log says why`));
}
