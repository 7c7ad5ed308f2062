import { EventEmitter } from 'node:events';
import { constants, type Http2Session, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import { Metadata, status, type MethodDefinition } from '@grpc/grpc-js';
import type { Clock } from '../base/clock.ts';
import { reasonOf } from '../base/thrown.ts';

/** How a call ends. */
export type CallStatus = { readonly code: status; readonly details: string; readonly metadata?: Metadata | undefined };

/** Not compressed or compressed (one byte), four bytes of length. */
export const PREFIX_BYTES = 5;
const HEADERS = { ':status': 200, 'content-type': 'application/grpc+proto' } as const;
const TRAILERS = { 'grpc-status': String(status.OK) } as const;
const TIMEOUT = /^(\d{1,8})([HMSmun])$/;
const UNIT_MS: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1_000, m: 1, u: 1e-3, n: 1e-6 };
/** Longest time that a timer takes. */
const TIMER_MS_MAX = 2 ** 31 - 1;

/** A call on its way to a handler. */
export type Taken = {
  readonly stream: ServerHttp2Stream;
  readonly headers: IncomingHttpHeaders;
  readonly definition: MethodDefinition<unknown, unknown>;
  /** How long the client waits; Infinity for ever. */
  readonly timeoutMs: number;
  /** Largest message. */
  readonly bytesMax: number;
  readonly clock: Clock;
};

/** What a handler says: a status, or the message that is the answer. */
export type Answer = (error: Partial<CallStatus> | null, message?: unknown) => void;

/** How long the client waits, in ms, Infinity for ever; undefined where it says that in no way that is one. */
export function timeoutMsOf(headers: IncomingHttpHeaders): number | undefined {
  const text = headers['grpc-timeout'];
  if (text === undefined) return Infinity;
  const [, count, unit = ''] = TIMEOUT.exec(String(text)) ?? [];
  return count === undefined ? undefined : Number(count) * (UNIT_MS[unit] ?? 0);
}

/** A call as handlers see it: what they use of the one of grpc-js. Emits `cancelled` once it is over, in whatever way. */
export class RawCall extends EventEmitter {
  request: unknown;
  isOver = false;
  readonly stream: ServerHttp2Stream;
  readonly #headers: IncomingHttpHeaders;
  readonly #definition: MethodDefinition<unknown, unknown>;
  readonly #deadlineAt: number;
  #metadata: Metadata | undefined;

  constructor({ stream, headers, definition, timeoutMs, clock }: Taken) {
    super();
    this.stream = stream;
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
    const { session } = this.stream;
    return (session && peers.get(session)) ?? notedPeer(session);
  }

  sendMetadata(metadata: Metadata): void {
    if (this.#isOpen() && !this.stream.headersSent)
      this.stream.respond({ ...HEADERS, ...metadata.toHttp2Headers() }, { waitForTrailers: true });
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
    const stream = this.stream;
    if (!stream.headersSent) stream.respond(HEADERS, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers(TRAILERS));
    stream.end(framed(bytes));
  }

  /** What the handler of a call with one answer is given for it. */
  readonly settle: Answer = (error, message) => {
    if (error === null) this.answer(message);
    else this.end({ code: error.code ?? status.UNKNOWN, details: error.details ?? reasonOf(error), metadata: error.metadata });
  };

  /** Ends the call with no answer, or no more of them. What the client still sends is dropped. */
  end({ code, details, metadata }: CallStatus): void {
    if (!this.#isOpen()) return;
    this.isOver = true;
    const stream = this.stream;
    const trailers = { 'grpc-status': String(code), 'grpc-message': encodeURI(details), ...metadata?.toHttp2Headers() };
    if (!stream.headersSent) stream.respond({ ...HEADERS, ...trailers }, { endStream: true });
    else {
      stream.on('wantTrailers', () => stream.sendTrailers(trailers));
      stream.end();
    }
  }

  /** Ends it and has the client send no more. */
  cut(why: CallStatus): void {
    this.end(why);
    this.stream.close(constants.NGHTTP2_NO_ERROR);
  }

  #isOpen(): boolean {
    return !this.isOver && !this.stream.destroyed && !this.stream.closed;
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

export function tooLarge(size: number, bytesMax: number): CallStatus {
  return { code: status.RESOURCE_EXHAUSTED, details: `Received message larger than max (${size} vs ${bytesMax})` };
}

export const NO_MESSAGE_OF_ITS_KIND: CallStatus = { code: status.INTERNAL, details: 'Error deserializing request' };

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
