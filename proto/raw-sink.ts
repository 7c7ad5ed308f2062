import { EventEmitter } from 'node:events';
import type { ServerHttp2Stream } from 'node:http2';
import { Metadata, status } from '@grpc/grpc-js';
import type { Sink } from './flow.ts';
import { PREFIX_BYTES, RawCall, type CallStatus, type Taken } from './raw-call.ts';

/** A message as it lies in memory: its bytes are sent from where they are. */
export type RawForm<T> = {
  /** The message on the wire, in two parts, of which the second is the large one. */
  parts(message: T): readonly [head: Uint8Array, body: Uint8Array];
  /** The message has left; its bytes are looked at no more. Not called for messages of a call that broke. */
  sent(message: T): void;
};

/** Messages that may wait in a connection at once: while one leaves, the next one is there. */
const WAITING_MAX = 2;

/** The part of a call of grpc-js in which its HTTP/2 stream is; there is no public way to it. */
type Internals = { readonly call?: { readonly stream?: Partial<ServerHttp2Stream> } };
type Responding = { sendMetadata(metadata: Metadata): void };

/**
 * Sends messages of `call` past grpc-js, which makes a copy of each in memory of its own, and keeps sixteen of them for a client that
 * does not read. Undefined where this version of grpc-js hides the stream: then write to the call itself. How the call ends stays with
 * grpc-js in any case.
 */
export function rawSink<T>(call: Responding, form: RawForm<T>): Sink<T> | undefined {
  const { stream } = call instanceof RawCall ? call : ((call as Internals).call ?? {});
  return typeof stream?.write === 'function' && typeof stream.cork === 'function'
    ? new RawSink(call, stream as ServerHttp2Stream, form) // what is used of it is there
    : undefined;
}

class RawSink<T> extends EventEmitter implements Sink<T> {
  readonly #call: Responding;
  readonly #stream: ServerHttp2Stream;
  readonly #form: RawForm<T>;
  #isBegun = false;
  #waiting = 0;

  constructor(call: Responding, stream: ServerHttp2Stream, form: RawForm<T>) {
    super();
    this.#call = call;
    this.#stream = stream;
    this.#form = form;
  }

  write(message: T): boolean {
    const stream = this.#stream;
    if (stream.destroyed || stream.writableEnded) return false; // broken off: the call's signal ends whoever writes
    if (!this.#isBegun) this.#call.sendMetadata(new Metadata()); // unless it was sent already
    this.#isBegun = true;
    const [head, body] = this.#form.parts(message);
    const prefix = Buffer.allocUnsafe(PREFIX_BYTES + head.byteLength);
    prefix.writeUInt8(0, 0);
    prefix.writeUInt32BE(head.byteLength + body.byteLength, 1);
    prefix.set(head, PREFIX_BYTES);
    this.#waiting += 1;
    stream.cork();
    stream.write(prefix);
    stream.write(body, (error) => {
      this.#waiting -= 1;
      if (error !== undefined && error !== null) return;
      this.#form.sent(message);
      if (this.#waiting === WAITING_MAX - 1) this.emit('drain');
    });
    stream.uncork();
    return this.#waiting < WAITING_MAX;
  }
}

/** A call of one request and many answers, which go out by `rawSink`. */
export class RawReadCall extends RawCall {
  constructor(taken: Taken) {
    super(taken);
    this.on('error', (why: CallStatus) => this.end(why)); // how handlers of grpc-js end such a call
  }

  override end(why: CallStatus = { code: status.OK, details: 'OK' }): void {
    super.end(why);
  }
}
