import { randomInt } from 'node:crypto';
import type { EventEmitter } from 'node:events';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type {
  handleBidiStreamingCall,
  handleClientStreamingCall,
  handleServerStreamingCall,
  handleUnaryCall,
  Metadata,
} from '@grpc/grpc-js';
import { AssertionFailure } from '../base/assert.ts';
import type { Evidence } from '../base/auth.ts';
import type { Env } from '../base/env.ts';
import { Fault, isFault } from '../base/fault.ts';
import { readMessages, writeMessages, type Source } from './flow.ts';
import { faultToStatus, type CallStatus } from './status.ts';

/** What a handler knows of its call beyond the messages. */
export type Call = {
  /** Fires when the client cancels, its connection breaks, or its deadline passes; also once the call has been answered. */
  readonly signal: AbortSignal;
  /** Ends the call with `fault` at once, also where the client reads nothing and so whatever is sent to it is stuck. */
  readonly abort: (fault: Fault) => void;
  /** What the client shows of itself, for `Authenticator.identify`. */
  readonly evidence: Evidence;
  readonly metadata: Metadata;
  /** When the client stops waiting, by the wall clock; Infinity where it waits for ever. */
  readonly deadlineAt: number;
};

/** What the four kinds of call have in common on the server's side. */
type Surface = EventEmitter & { readonly metadata: Metadata; getPeer(): string; getDeadline(): Date | number };

/*
 * Each of these makes a gRPC handler of a plain function. A Fault that the function throws becomes its status; anything
 * else is a bug: it is logged under `name` and answered as INTERNAL without its text.
 */

/** One request, one response. */
export function unary<Req, Res>(env: Env, name: string, run: (request: Req, call: Call) => Promise<Res>): handleUnaryCall<Req, Res> {
  return (call, answer) => {
    settle(
      (context) => run(call.request, context),
      call,
      (response) => answer(null, response),
      (error, abandoned) => answer(statusOf(env, name, error, abandoned)),
    );
  };
}

/** One request, many responses. They are pulled only as fast as the client reads; `run` is told to end by `signal` and `return()`. */
export function serverStream<Req, Res>(
  env: Env,
  name: string,
  run: (request: Req, call: Call) => AsyncIterable<Res>,
): handleServerStreamingCall<Req, Res> {
  return (call) => {
    settle(
      (context) => writeMessages(call, run(call.request, context), context.signal),
      call,
      () => call.end(),
      (error, abandoned) => void call.emit('error', statusOf(env, name, error, abandoned)),
    );
  };
}

/** Many requests, one response. `requests` ends only where the client ended it: a broken connection throws CANCELLED. */
export function clientStream<Req, Res>(
  env: Env,
  name: string,
  run: (requests: AsyncIterable<Req>, call: Call) => Promise<Res>,
): handleClientStreamingCall<Req, Res> {
  return (call, answer) => {
    settle(
      (context) => run(requestsOf(call, context.signal), context),
      call,
      (response) => answer(null, response),
      (error, abandoned) => answer(statusOf(env, name, error, abandoned)),
    );
  };
}

/** Many of both; see `serverStream` and `clientStream`. The call ends when `run` has ended, whatever the client still sends. */
export function bidi<Req, Res>(
  env: Env,
  name: string,
  run: (requests: AsyncIterable<Req>, call: Call) => AsyncIterable<Res>,
): handleBidiStreamingCall<Req, Res> {
  return (call) => {
    settle(
      (context) => writeMessages(call, run(requestsOf(call, context.signal), context), context.signal),
      call,
      () => call.end(),
      (error, abandoned) => void call.emit('error', statusOf(env, name, error, abandoned)),
    );
  };
}

/** Runs `work` with the call's context and hands on how it ended; `work` may throw at once. */
function settle<T>(
  work: (context: Call) => Promise<T>,
  call: Surface,
  done: (value: T) => void,
  failed: (error: unknown, abandoned: boolean) => void,
): void {
  const controller = new AbortController();
  call.on('cancelled', () => controller.abort(new Fault('CANCELLED', 'The client gave up on the call')));
  const authorization = call.metadata.get('authorization').find((value) => typeof value === 'string');
  const evidence: Evidence = { authorization, loopback: isLoopback(call.getPeer()) };
  let broken: Fault | undefined;
  const abort = (fault: Fault) => {
    broken ??= fault;
    controller.abort(fault);
  };
  const deadlineAt = Number(call.getDeadline());
  const running = (async () => work({ signal: controller.signal, abort, evidence, metadata: call.metadata, deadlineAt }))();
  running.then(
    (value) => (broken === undefined ? done(value) : failed(broken, false)),
    (error: unknown) => (broken === undefined ? failed(error, controller.signal.aborted) : failed(broken, false)),
  );
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

function isLoopback(peer: string): boolean {
  return /^(127\.|\[?::1\]?:|\[?::ffff:127\.)/.test(peer);
}

/** Most callers that were refused together come back when they are told to: each is told another time, up to half as late again. */
function spread(fault: Fault): Fault {
  const { code, message, field, hint, retryAfterMs } = fault;
  if (retryAfterMs === undefined) return fault;
  return new Fault(code, message, {
    ...(field === undefined ? {} : { field }),
    ...(hint === undefined ? {} : { hint }),
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
