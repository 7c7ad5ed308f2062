import { EventEmitter } from 'node:events';
import { constants, type Http2Session, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import { Metadata, status, type MethodDefinition, type ServiceDefinition, type UntypedServiceImplementation } from '@grpc/grpc-js';
import type { Clock } from '../base/clock.ts';
import { reasonOf } from '../base/thrown.ts';

/** What a handler says: a status, or the message that is the answer. */
type Answer = (error: Partial<CallStatus> | null, message?: unknown) => void;
type CallStatus = { readonly code: status; readonly details: string; readonly metadata?: Metadata | undefined };
type Method = { readonly definition: MethodDefinition<unknown, unknown>; readonly handle: (call: RawCall, answer: Answer) => void };

/** Not compressed or compressed (one byte), four bytes of length. */
const PREFIX_BYTES = 5;
const HEADERS = { ':status': 200, 'content-type': 'application/grpc+proto' } as const;
const TRAILERS = { 'grpc-status': String(status.OK) } as const;
const TIMEOUT = /^(\d{1,8})([HMSmun])$/;
const UNIT_MS: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1_000, m: 1, u: 1e-3, n: 1e-6 };
/** Longest time that a timer takes. */
const TIMER_MS_MAX = 2 ** 31 - 1;

/**
 * Calls of one request and one answer without grpc-js in between, whose machinery for interceptors and statistics costs a small
 * call twice of what its work does. What it sees of handlers and what clients see of it is as with grpc-js.
 */
export class RawUnary {
  readonly #methods = new Map<string, Method>();
  readonly #bytesMax: number;
  readonly #clock: Clock;

  /** @param bytesMax largest request */
  constructor(bytesMax: number, clock: Clock) {
    this.#bytesMax = bytesMax;
    this.#clock = clock;
  }

  /** Takes the calls of a service that have one request and one answer. */
  add(definition: ServiceDefinition, handlers: UntypedServiceImplementation): void {
    for (const [name, method] of Object.entries(definition)) {
      const handler = handlers[name];
      if (method.requestStream || method.responseStream || handler === undefined) continue;
      this.#methods.set(method.path, { definition: method, handle: handler as unknown as Method['handle'] }); // a unary one
    }
  }

  /** Whether the call is one of these; if not, it was left alone: it is another kind, compressed, or malformed in its headers. */
  take(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): boolean {
    const method = this.#methods.get(headers[':path'] ?? '');
    if (method === undefined || headers['content-type']?.startsWith('application/grpc') !== true) return false;
    if ((headers['grpc-encoding'] ?? 'identity') !== 'identity') return false;
    const timeout = headers['grpc-timeout'];
    const timeoutMs = timeout === undefined ? Infinity : timeoutMsOf(String(timeout));
    if (timeoutMs === undefined) return false;
    const call = new RawCall(stream, headers, method.definition, timeoutMs, this.#clock);
    receive(stream, this.#bytesMax, call, method);
    return true;
  }
}

function timeoutMsOf(text: string): number | undefined {
  const [, count, unit = ''] = TIMEOUT.exec(text) ?? [];
  return count === undefined ? undefined : Number(count) * (UNIT_MS[unit] ?? 0);
}

/** Puts the one request together and hands it to the handler once the client has sent all. */
function receive(stream: ServerHttp2Stream, bytesMax: number, call: RawCall, { definition, handle }: Method): void {
  const chunks: Buffer[] = [];
  let length = 0;
  /** With its prefix; unknown until that is there. */
  let size = Infinity;
  stream.on('data', (chunk: Buffer) => {
    if (call.isOver) return;
    chunks.push(chunk);
    length += chunk.byteLength;
    if (size === Infinity && length >= PREFIX_BYTES) size = PREFIX_BYTES + joined(chunks).readUInt32BE(1);
    if (size !== Infinity && size - PREFIX_BYTES > bytesMax) {
      const details = `Received message larger than max (${size - PREFIX_BYTES} vs ${bytesMax})`;
      call.cut({ code: status.RESOURCE_EXHAUSTED, details });
    } else if (length > size) call.cut(secondMessage(definition.path));
  });
  stream.on('end', () => {
    if (call.isOver) return;
    if (length < size) return call.end(noMessage(definition.path));
    let request: unknown;
    try {
      request = definition.requestDeserialize(joined(chunks).subarray(PREFIX_BYTES));
    } catch {
      return call.end({ code: status.INTERNAL, details: 'Error deserializing request' });
    }
    call.request = request;
    handle(call, (error, message) => {
      if (error === null) call.answer(message);
      else call.end({ code: error.code ?? status.UNKNOWN, details: error.details ?? reasonOf(error), metadata: error.metadata });
    });
  });
}

/** All that has come, as one. */
function joined(chunks: Buffer[]): Buffer {
  if (chunks.length > 1) chunks.splice(0, chunks.length, Buffer.concat(chunks));
  return chunks[0] ?? Buffer.alloc(0);
}

function noMessage(path: string): CallStatus {
  return { code: status.UNIMPLEMENTED, details: `Received no request message for ${path}` };
}

function secondMessage(path: string): CallStatus {
  return { code: status.UNIMPLEMENTED, details: `Received a second request message for ${path}` };
}

/** A call as handlers see it: what they use of the one of grpc-js. Emits `cancelled` once it is over, in whatever way. */
class RawCall extends EventEmitter {
  request: unknown;
  isOver = false;
  readonly #stream: ServerHttp2Stream;
  readonly #headers: IncomingHttpHeaders;
  readonly #definition: MethodDefinition<unknown, unknown>;
  readonly #deadlineAt: number;
  #metadata: Metadata | undefined;

  constructor(
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    definition: MethodDefinition<unknown, unknown>,
    timeoutMs: number,
    clock: Clock,
  ) {
    super();
    this.#stream = stream;
    this.#headers = headers;
    this.#definition = definition;
    this.#deadlineAt = clock.now() + timeoutMs;
    let timer: NodeJS.Timeout | undefined;
    if (timeoutMs !== Infinity) {
      const pass = () => {
        this.end({ code: status.DEADLINE_EXCEEDED, details: 'Deadline exceeded' });
        this.emit('cancelled');
      };
      timer = setTimeout(pass, Math.min(timeoutMs, TIMER_MS_MAX));
    }
    stream.on('error', () => {}); // it closes next
    stream.on('close', () => {
      clearTimeout(timer);
      this.isOver = true;
      this.emit('cancelled');
    });
  }

  get metadata(): Metadata {
    this.#metadata ??= metadataOf(this.#headers);
    return this.#metadata;
  }

  getDeadline(): number {
    return this.#deadlineAt;
  }

  /** For `withAdmission`: most calls need nothing else of their metadata. */
  get authorization(): string | undefined {
    return this.#headers.authorization;
  }

  getPeer(): string {
    const { session } = this.#stream;
    return (session && peers.get(session)) ?? notedPeer(session);
  }

  sendMetadata(metadata: Metadata): void {
    if (this.#isOpen() && !this.#stream.headersSent)
      this.#stream.respond({ ...HEADERS, ...metadata.toHttp2Headers() }, { waitForTrailers: true });
  }

  answer(message: unknown): void {
    if (!this.#isOpen()) return;
    let bytes: Buffer;
    try {
      bytes = this.#definition.responseSerialize(message);
    } catch {
      return this.end({ code: status.INTERNAL, details: 'Error serializing response' });
    }
    this.isOver = true;
    const stream = this.#stream;
    if (!stream.headersSent) stream.respond(HEADERS, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers(TRAILERS));
    stream.end(framed(bytes));
  }

  /** Ends the call without an answer. */
  end({ code, details, metadata }: CallStatus): void {
    if (!this.#isOpen()) return;
    this.isOver = true;
    const stream = this.#stream;
    const trailers = { 'grpc-status': String(code), 'grpc-message': encodeURI(details), ...metadata?.toHttp2Headers() };
    if (!stream.headersSent) stream.respond({ ...HEADERS, ...trailers }, { endStream: true });
    else {
      stream.on('wantTrailers', () => stream.sendTrailers(trailers));
      stream.end();
    }
  }

  /** Ends it and takes no more of what the client sends. */
  cut(why: CallStatus): void {
    this.end(why);
    this.#stream.close(constants.NGHTTP2_NO_ERROR);
  }

  #isOpen(): boolean {
    return !this.isOver && !this.#stream.destroyed && !this.#stream.closed;
  }
}

/** Of open connections: their sockets are behind a proxy that is slow to ask. */
const peers = new WeakMap<Http2Session, string>();

function notedPeer(session: Http2Session | undefined): string {
  const { remoteAddress, remotePort } = session?.socket ?? {};
  if (session === undefined || remoteAddress === undefined) return 'unknown';
  const peer = `${remoteAddress}:${remotePort}`;
  peers.set(session, peer);
  return peer;
}

function framed(message: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(PREFIX_BYTES + message.byteLength);
  frame.writeUInt8(0, 0);
  frame.writeUInt32BE(message.byteLength, 1);
  frame.set(message, PREFIX_BYTES);
  return frame;
}

/** What is the transport's own matter. */
const NOT_METADATA = ['grpc-timeout', 'grpc-encoding', 'grpc-accept-encoding', 'accept-encoding', 'te', 'content-type'];

function metadataOf(headers: IncomingHttpHeaders): Metadata {
  const metadata = Metadata.fromHttp2Headers(headers);
  for (const name of NOT_METADATA) metadata.remove(name);
  return metadata;
}
