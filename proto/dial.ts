import {
  credentials,
  InterceptingCall,
  Metadata,
  type CallOptions,
  type ChannelCredentials,
  type ChannelOptions,
  type Client,
  type ClientDuplexStream,
  type ClientOptions,
  type ClientReadableStream,
  type ClientUnaryCall,
  type ClientWritableStream,
  type Interceptor,
  type requestCallback,
  type ServiceError,
  type StatusObject,
  status as grpcStatus,
} from '@grpc/grpc-js';
import { isLoopback } from '../base/address.ts';
import { systemClock } from '../base/clock.ts';
import { Fault } from '../base/fault.ts';
import type { Secret } from '../base/secret.ts';
import { readMessages, writeMessages, type Waiting } from './flow.ts';
import { faultFromStatus } from './status.ts';
import { channelCredentials, type DialTls } from './tls.ts';

/** Where a server is, and what to show it. */
export type Link = {
  readonly address: string;
  readonly token: Secret | undefined;
  /** @default in clear */
  readonly tls?: DialTls | undefined;
};

export type CallerOptions = {
  /** Cancels the call; it then rejects with CANCELLED. */
  readonly signal: AbortSignal;
  /** Longest time of the whole call; the server learns it too. @default two minutes for a unary call, none for a stream */
  readonly deadlineMs?: number;
  /**
   * Longest wait of a stream for the other side: for a message, for room to write, for the answer. It then fails with DEADLINE.
   * Time that our own side takes does not count. @default none: the keepalive ends a stream whose other side has gone
   */
  readonly idleMs?: number;
  /** Sent along with the call. @default none */
  readonly metadata?: Readonly<Record<string, string | Buffer>>;
  /** Hears what the server says beside its answer, before that; of calls with one answer. @default nobody listens */
  readonly onMetadata?: (metadata: Metadata) => void;
};

/** No unary call waits for ever, whatever its caller forgets to say. */
const UNARY_DEADLINE_MS = 120_000;

const COMMON_OPTIONS: ChannelOptions = {
  // A connection belongs to one client: bulk never shares it with control.
  'grpc.use_local_subchannel_pool': 1,
  // Finds half-open connections while a call is open on them.
  'grpc.keepalive_time_ms': 20_000,
  'grpc.keepalive_timeout_ms': 10_000,
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.min_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 2_000,
  'grpc.max_receive_message_length': 16 * 1024 * 1024,
  'grpc.max_send_message_length': -1,
  'grpc.enable_retries': 0,
  'grpc.service_config_disable_resolution': 1,
  'grpc.enable_channelz': 0,
};

/** Control keeps its connection alive when idle, so that a dead one is noticed; bulk has deep windows. */
const KIND_OPTIONS: Readonly<Record<'control' | 'bulk', ChannelOptions>> = {
  control: { 'grpc.keepalive_permit_without_calls': 1, 'grpc-node.flow_control_window': 4 * 1024 * 1024 },
  bulk: { 'grpc-node.flow_control_window': 8 * 1024 * 1024 },
};

/** A client of the service that `make` stands for, on a connection of its own, opened by the first call. Close it with `client.close()`. */
export function dial<C extends Client>(
  make: new (address: string, creds: ChannelCredentials, options?: ClientOptions) => C,
  link: Link,
  kind: 'control' | 'bulk',
): C {
  const { token, tls } = link;
  const [creds, tlsOptions] = tls === undefined ? [credentials.createInsecure(), {}] : channelCredentials(tls, link.address);
  const proxy = isLoopback(link.address) ? { 'grpc.enable_http_proxy': 0 } : {};
  return new make(link.address, creds, {
    ...COMMON_OPTIONS,
    ...KIND_OPTIONS[kind],
    ...proxy,
    ...tlsOptions,
    ...(token === undefined ? {} : { interceptors: [withToken(token)] }),
  });
}

function withToken(token: Secret): Interceptor {
  return (options, next) =>
    new InterceptingCall(next(options), {
      start(metadata, listener, start) {
        metadata.set('authorization', `Bearer ${token.reveal()}`);
        start(metadata, listener);
      },
    });
}

/*
 * The types below find the request and response of a method by its name. Generated clients declare several overloads;
 * inference sees the last one, which has the fewest parameters.
 */
type UnaryShape<Req, Res> = (argument: Req, callback: requestCallback<Res>) => ClientUnaryCall;
type ServerStreamShape<Req, Res> = (argument: Req, options?: CallOptions) => ClientReadableStream<Res>;
type ClientStreamShape<Req, Res> = (callback: requestCallback<Res>) => ClientWritableStream<Req>;
type BidiShape<Req, Res> = (options?: CallOptions) => ClientDuplexStream<Req, Res>;

type UnaryOf<M> = M extends UnaryShape<infer Req, infer Res> ? { request: Req; response: Res } : never;
type ServerStreamOf<M> = M extends ServerStreamShape<infer Req, infer Res> ? { request: Req; response: Res } : never;
type ClientStreamOf<M> = M extends ClientStreamShape<infer Req, infer Res> ? { request: Req; response: Res } : never;
type BidiOf<M> = M extends BidiShape<infer Req, infer Res> ? { request: Req; response: Res } : never;

/** Calls `client[method]`. @throws {Fault} what the server answered, or CANCELLED, DEADLINE, PEER_UNAVAILABLE. */
export async function callUnary<C extends Client, M extends keyof C & string>(
  client: C,
  method: M,
  request: UnaryOf<C[M]>['request'],
  options: CallerOptions,
): Promise<UnaryOf<C[M]>['response']> {
  type Res = UnaryOf<C[M]>['response'];
  type Start = (request: unknown, metadata: Metadata, options: CallOptions, callback: requestCallback<Res>) => ClientUnaryCall;
  const { signal } = options;
  return new Promise<Res>((resolve, reject) => {
    if (signal.aborted) throw cancelled(signal);
    const cancel = () => call.cancel();
    const start = client[method] as Start; // `M` names a unary method, and this is its longest overload
    const call = start.call(
      client,
      request,
      metadataOf(options),
      callOptions({ deadlineMs: UNARY_DEADLINE_MS, ...options }),
      (error, response) => {
        signal.removeEventListener('abort', cancel);
        if (error !== null) reject(faultOf(error, signal));
        else if (response === undefined) reject(new Fault('INTERNAL', `${method} was answered without a message`));
        else resolve(response);
      },
    );
    if (options.onMetadata !== undefined) call.on('metadata', options.onMetadata);
    signal.addEventListener('abort', cancel);
  });
}

/**
 * Calls `client[method]` when iteration begins, and cancels the call when it ends early. Messages are taken from the
 * connection only as fast as they are consumed. @throws {Fault} as `callUnary`, after the messages that came before.
 */
export async function* callServerStream<C extends Client, M extends keyof C & string>(
  client: C,
  method: M,
  request: ServerStreamOf<C[M]>['request'],
  options: CallerOptions,
): AsyncGenerator<ServerStreamOf<C[M]>['response'], void, void> {
  type Res = ServerStreamOf<C[M]>['response'];
  type Start = (request: unknown, metadata: Metadata, options: CallOptions) => ClientReadableStream<Res>;
  if (options.signal.aborted) throw cancelled(options.signal);
  const start = client[method] as Start; // `M` names a server-streaming method, and this is its longest overload
  const call = start.call(client, request, metadataOf(options), callOptions(options));
  yield* responsesOf(call, ended(call), options);
}

/**
 * Calls `client[method]` and writes `requests` as fast as the server takes them. It resolves as soon as the server has
 * answered, even before all requests were written (they are then ended by `return()`). Where `requests` throws, the
 * call is cancelled and that error is thrown. @throws {Fault} as `callUnary`.
 */
export async function callClientStream<C extends Client, M extends keyof C & string>(
  client: C,
  method: M,
  requests: AsyncIterable<ClientStreamOf<C[M]>['request']>,
  options: CallerOptions,
): Promise<ClientStreamOf<C[M]>['response']> {
  type Req = ClientStreamOf<C[M]>['request'];
  type Res = ClientStreamOf<C[M]>['response'];
  type Start = (metadata: Metadata, options: CallOptions, callback: requestCallback<Res>) => ClientWritableStream<Req>;
  const { signal } = options;
  const answered = new AbortController();
  return new Promise<Res>((resolve, reject) => {
    if (signal.aborted) throw cancelled(signal);
    const cancel = () => call.cancel();
    const idle = idleTimer(options, (fault) => {
      reject(fault);
      call.cancel();
    });
    const start = client[method] as Start; // `M` names a client-streaming method, and this is its longest overload
    const call = start.call(client, metadataOf(options), callOptions(options), (error, response) => {
      signal.removeEventListener('abort', cancel);
      idle.pause();
      answered.abort();
      if (error !== null) reject(faultOf(error, signal));
      else if (response === undefined) reject(new Fault('INTERNAL', `${method} was answered without a message`));
      else resolve(response);
    });
    if (options.onMetadata !== undefined) call.on('metadata', options.onMetadata);
    signal.addEventListener('abort', cancel);
    writeMessages(call, requests, answered.signal, idle).then(
      () => {
        call.end();
        if (!answered.signal.aborted) idle.begin();
      },
      (error: unknown) => {
        reject(error);
        call.cancel();
      },
    );
  });
}

/**
 * Calls `client[method]` and gives each response to `take` as it comes, without a pause: for conversations whose every message is
 * small and dealt with at once. Where `take` throws, the call is cancelled and that error is thrown. See `callClientStream` for
 * the requests. @throws {Fault} as `callUnary`
 */
export async function callBidi<C extends Client, M extends keyof C & string>(
  client: C,
  method: M,
  requests: AsyncIterable<BidiOf<C[M]>['request']>,
  options: Omit<CallerOptions, 'idleMs'>,
  take: (response: BidiOf<C[M]>['response']) => void,
): Promise<void> {
  type Req = BidiOf<C[M]>['request'];
  type Res = BidiOf<C[M]>['response'];
  type Start = (metadata: Metadata, options: CallOptions) => ClientDuplexStream<Req, Res>;
  const { signal } = options;
  if (signal.aborted) throw cancelled(signal);
  const start = client[method] as Start; // `M` names a bidirectional method, and this is its longest overload
  const call = start.call(client, metadataOf(options), callOptions(options));
  const end = ended(call);
  const broken = Promise.withResolvers<void>();
  const cut = (error: unknown) => {
    broken.reject(error);
    call.off('data', onMessage);
    call.cancel();
  };
  const onAbort = () => cut(cancelled(signal));
  const onMessage = (message: Res) => {
    try {
      take(message);
    } catch (error) {
      cut(error);
    }
  };
  const taken = new Promise<void>((resolve) => call.on('end', resolve)); // the status may be there before the last message
  signal.addEventListener('abort', onAbort);
  call.on('data', onMessage);
  writeMessages(call, requests, end.over).then(() => call.end(), cut);
  try {
    await Promise.race([Promise.all([taken, end.settled]), broken.promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
  refuseStatus(end, signal);
}

/** How a streaming call ended, once `over` has fired. */
type CallEnd = { readonly over: AbortSignal; readonly status: () => StatusObject | undefined; readonly settled: Promise<void> };

function ended(call: ClientReadableStream<unknown> | ClientDuplexStream<unknown, unknown>): CallEnd {
  const controller = new AbortController();
  let status: StatusObject | undefined;
  const settled = new Promise<void>((resolve) => {
    call.on('status', (value: StatusObject) => {
      status = value;
      controller.abort();
      resolve();
    });
  });
  call.on('error', () => {}); // the status says the same
  return { over: controller.signal, status: () => status, settled };
}

async function* responsesOf<Res>(call: ClientReadableStream<Res>, end: CallEnd, options: CallerOptions): AsyncGenerator<Res, void, void> {
  const { signal } = options;
  const stop = new AbortController();
  const idle = idleTimer(options, (fault) => stop.abort(fault));
  const onAbort = () => stop.abort(cancelled(signal));
  signal.addEventListener('abort', onAbort);
  try {
    idle.begin();
    for await (const message of readMessages<Res>(call, stop.signal)) {
      idle.pause();
      yield message;
      idle.begin();
    }
    await end.settled;
    refuseStatus(end, signal);
  } finally {
    idle.pause();
    signal.removeEventListener('abort', onAbort);
    call.cancel(); // changes nothing where the call has ended
  }
}

/** @throws {Fault} what the call ended with, where that is not OK */
function refuseStatus(end: CallEnd, signal: AbortSignal): void {
  const status = end.status();
  if (status !== undefined && status.code !== grpcStatus.OK) throw faultOf(Object.assign(new Error(status.details), status), signal);
}

/** Counts the time between `begin` and `pause`; calls `late` when that reaches `idleMs`. */
function idleTimer({ idleMs }: CallerOptions, late: (fault: Fault) => void): Waiting {
  if (idleMs === undefined) return { begin: () => {}, pause: () => {} };
  let timer: NodeJS.Timeout | undefined;
  const pause = () => clearTimeout(timer);
  return {
    begin() {
      pause();
      timer = setTimeout(() => late(new Fault('DEADLINE', `The server moved nothing for ${idleMs / 1_000} s`)), idleMs);
    },
    pause,
  };
}

function metadataOf({ metadata = {} }: CallerOptions): Metadata {
  const made = new Metadata();
  for (const [key, value] of Object.entries(metadata)) made.set(key, value);
  return made;
}

function callOptions({ deadlineMs }: CallerOptions): CallOptions {
  return deadlineMs === undefined ? {} : { deadline: systemClock.now() + deadlineMs };
}

function cancelled(signal: AbortSignal): Fault {
  return new Fault('CANCELLED', 'The call was cancelled', { cause: signal.reason });
}

/** A status CANCELLED that nobody here asked for comes from a server that went away in the middle of the call. */
function faultOf(error: ServiceError, signal: AbortSignal): Fault {
  if (signal.aborted) return cancelled(signal);
  const fault = faultFromStatus(error);
  if (fault.code !== 'CANCELLED') return fault;
  return new Fault('PEER_UNAVAILABLE', `The server ended the call: ${fault.message}`, { cause: error });
}
