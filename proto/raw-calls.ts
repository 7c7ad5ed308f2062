import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import type { MethodDefinition, ServiceDefinition, UntypedServiceImplementation } from '@grpc/grpc-js';
import type { Clock } from '../base/clock.ts';
import { RawCall, timeoutMsOf, type Answer, type Taken } from './raw-call.ts';
import { RawReadCall } from './raw-sink.ts';
import { receiveOne } from './raw-unary.ts';
import { RawUploadCall, type MakeAssembler } from './raw-upload.ts';

/** How calls of a service that stream are taken, by name of the method; unary ones need nothing said. */
export type RawStreams = {
  /** Many requests and one answer: how the requests are put together. */
  readonly uploads?: Readonly<Record<string, MakeAssembler>>;
  /** One request and many answers, which the handler sends in a raw form (`serverStream`). */
  readonly reads?: readonly string[];
};

type Method = { readonly definition: MethodDefinition<unknown, unknown>; readonly begin: (taken: Taken) => void };
type Handle = (call: RawCall, answer?: Answer) => void;

/**
 * Calls without grpc-js in between, whose machinery for interceptors and statistics costs a small call twice of what its work does,
 * and copies every message of a large one. What it sees of handlers and what clients see of it is as with grpc-js, whose server accepts
 * the connections and has all other calls.
 */
export class RawCalls {
  readonly #methods = new Map<string, Method>();
  readonly #bytesMax: number;
  readonly #clock: Clock;

  /** @param bytesMax largest request */
  constructor(bytesMax: number, clock: Clock) {
    this.#bytesMax = bytesMax;
    this.#clock = clock;
  }

  /** Takes the calls of a service that have one request and one answer, and those that `streams` names. */
  add(definition: ServiceDefinition, handlers: UntypedServiceImplementation, streams: RawStreams = {}): void {
    for (const [name, method] of Object.entries(definition)) {
      const handler = handlers[name];
      if (handler === undefined) continue;
      const begin = begins(name, method, handler as unknown as Handle, streams); // its kind is the method's
      if (begin !== undefined) this.#methods.set(method.path, { definition: method, begin });
    }
  }

  /** Whether the call is one of these; if not, it was left alone: it is another kind, compressed, or malformed in its headers. */
  take(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): boolean {
    const method = this.#methods.get(headers[':path'] ?? '');
    if (method === undefined || headers['content-type']?.startsWith('application/grpc') !== true) return false;
    if ((headers['grpc-encoding'] ?? 'identity') !== 'identity') return false;
    const timeoutMs = timeoutMsOf(headers);
    if (timeoutMs === undefined) return false;
    method.begin({ stream, headers, definition: method.definition, timeoutMs, bytesMax: this.#bytesMax, clock: this.#clock });
    return true;
  }
}

function begins(
  name: string,
  { requestStream, responseStream }: MethodDefinition<unknown, unknown>,
  handle: Handle,
  { uploads = {}, reads = [] }: RawStreams,
): ((taken: Taken) => void) | undefined {
  if (!requestStream && !responseStream) {
    return (taken) => {
      const call = new RawCall(taken);
      receiveOne(call, taken, () => handle(call, call.settle));
    };
  }
  if (!requestStream && reads.includes(name)) {
    return (taken) => {
      const call = new RawReadCall(taken);
      receiveOne(call, taken, () => handle(call));
    };
  }
  const assembler = uploads[name];
  if (!requestStream || responseStream || assembler === undefined) return undefined;
  return (taken) => {
    const call = new RawUploadCall(taken, assembler());
    handle(call, call.settle);
  };
}
