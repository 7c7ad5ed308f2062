import { randomUUID, randomBytes, createHash } from 'node:crypto';
import { Client, credentials, Metadata, status, type ServiceError } from '@grpc/grpc-js';

import type { MethodDefinition } from '@grpc/proto-loader';
import { systemClock } from '../../base/clock.ts';
import type { Digest__Output } from '../../proto/gen/build/bazel/remote/execution/v2/Digest.ts';
import type { ServerCapabilities__Output } from '../../proto/gen/build/bazel/remote/execution/v2/ServerCapabilities.ts';
import type { WriteRequest } from '../../proto/gen/google/bytestream/WriteRequest.ts';
import { loadProto } from '../../proto/load.ts';

/** A server of the Remote Execution API, whoever made it. */
export type Endpoint = {
  /** host:port, plain text. */
  readonly address: string;
  readonly instance: string;
  /** Of a caller that may read and write; undefined: none is sent. */
  readonly token: string | undefined;
  /** Of a caller that may only read; undefined: checks of such callers are left out. */
  readonly readerToken: string | undefined;
};

export type Code = keyof typeof status;

/** What a call came to. */
export type Answer<T> =
  | { readonly kind: 'ok'; readonly value: T }
  | { readonly kind: 'error'; readonly code: Code; readonly message: string };

export type Blob = { readonly bytes: Buffer; readonly digest: Digest__Output };

/** No call is longer: one waits for an action of half a minute. */
const DEADLINE_MS = 90_000;
const MESSAGE_BYTES = 4 * 1024 * 1024;

export const { ContentAddressableStorage, ActionCache, Capabilities } = loadProto().build.bazel.remote.execution.v2;
export const { ByteStream } = loadProto().google.bytestream;
const codecs = loadProto().build.bazel.remote.execution.v2;

/** One caller's connection to the endpoint, with what nearly every check needs. */
export class Session implements Disposable {
  readonly endpoint: Endpoint;
  readonly capabilities: ServerCapabilities__Output;
  readonly #client: Client;
  readonly #token: string | undefined;

  private constructor(endpoint: Endpoint, client: Client, token: string | undefined, capabilities: ServerCapabilities__Output) {
    this.endpoint = endpoint;
    this.capabilities = capabilities;
    this.#client = client;
    this.#token = token;
  }

  /** @throws {Error} where the server does not say what it can do */
  static async open(endpoint: Endpoint, token: string | undefined): Promise<Session> {
    const client = connect(endpoint);
    const asking = new Session(endpoint, client, token, codecs.ServerCapabilities.deserialize(Buffer.alloc(0)));
    const answer = await asking.unary(Capabilities.service.GetCapabilities, { instanceName: endpoint.instance });
    if (answer.kind === 'error')
      throw new Error(`GetCapabilities of "${endpoint.instance}" at ${endpoint.address}: ${answer.code}: ${answer.message}`);
    return new Session(endpoint, client, token, answer.value);
  }

  /** Somebody else at the same endpoint. */
  as(token: string): Session {
    return new Session(this.endpoint, connect(this.endpoint), token, this.capabilities);
  }

  /** The batch limit of the server; its absence counts as none, which leaves the usual size of a message. */
  get batchBytesMax(): number {
    return Number(this.capabilities.cacheCapabilities?.maxBatchTotalSizeBytes ?? 0) || MESSAGE_BYTES - 64 * 1024;
  }

  #metadata(more: Readonly<Record<string, string | Buffer>> = {}): Metadata {
    const metadata = new Metadata();
    if (this.#token !== undefined) metadata.set('authorization', `Bearer ${this.#token}`);
    for (const [name, value] of Object.entries(more)) metadata.set(name, value);
    return metadata;
  }

  #options() {
    return { deadline: systemClock.now() + DEADLINE_MS };
  }

  /** One request, one answer. */
  async unary<Req, Res, ReqOut, ResOut>(
    { path, requestSerialize, responseDeserialize }: MethodDefinition<Req, Res, ReqOut, ResOut>,
    request: Req,
  ): Promise<Answer<ResOut>> {
    return new Promise((resolve) => {
      this.#client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        this.#metadata(),
        this.#options(),
        (error, value) => resolve(error === null && value !== undefined ? { kind: 'ok', value } : failed(error)),
      );
    });
  }

  /** One request, and all of the answers. */
  async stream<Req, Res, ReqOut, ResOut>(
    { path, requestSerialize, responseDeserialize }: MethodDefinition<Req, Res, ReqOut, ResOut>,
    request: Req,
  ): Promise<Answer<readonly ResOut[]>> {
    const call = this.#client.makeServerStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      request,
      this.#metadata(),
      this.#options(),
    );
    const values: ResOut[] = [];
    try {
      for await (const value of call) values.push(value as ResOut); // what `responseDeserialize` made
      return { kind: 'ok', value: values };
    } catch (error) {
      return failed(error);
    }
  }

  /** ByteStream.Write of these messages as they are. `abandon`: the call is broken off after them instead of ended. */
  async write(
    messages: readonly WriteRequest[],
    options: { readonly tool?: { readonly name: string; readonly version: string }; readonly abandon?: boolean } = {},
  ): Promise<Answer<number>> {
    const { path, requestSerialize, responseDeserialize } = ByteStream.service.Write;
    const { tool } = options;
    const header = 'build.bazel.remote.execution.v2.requestmetadata-bin';
    const about = tool && codecs.RequestMetadata.serialize({ toolDetails: { toolName: tool.name, toolVersion: tool.version } });
    const metadata = this.#metadata(about === undefined ? {} : { [header]: about });
    return new Promise((resolve) => {
      const call = this.#client.makeClientStreamRequest(
        path,
        requestSerialize,
        responseDeserialize,
        metadata,
        this.#options(),
        (error, value) =>
          resolve(error === null && value !== undefined ? { kind: 'ok', value: Number(value.committedSize) } : failed(error)),
      );
      call.on('error', () => {}); // the callback says it
      for (const message of messages.slice(0, -1)) call.write(message);
      const last = messages.at(-1);
      if (last !== undefined) call.write(last, () => (options.abandon === true ? setTimeout(() => call.cancel(), 50) : undefined));
      if (options.abandon !== true) call.end();
    });
  }

  /** ByteStream.Read, all of it. */
  async read(resourceName: string, offset = 0, limit = 0): Promise<Answer<Buffer>> {
    const answer = await this.stream(ByteStream.service.Read, { resourceName, readOffset: String(offset), readLimit: String(limit) });
    return answer.kind === 'error' ? answer : { kind: 'ok', value: Buffer.concat(answer.value.map(({ data }) => data)) };
  }

  /** `rest` as a resource name of the instance. */
  name(rest: string): string {
    return this.endpoint.instance === '' ? rest : `${this.endpoint.instance}/${rest}`;
  }

  readName({ digest }: Blob, kind = 'blobs'): string {
    return this.name(`${kind}/${digest.hash}/${digest.sizeBytes}`);
  }

  writeName({ digest }: Blob, kind = 'blobs', uuid: string = randomUUID()): string {
    return this.name(`uploads/${uuid}/${kind}/${digest.hash}/${digest.sizeBytes}`);
  }

  /** Stores a blob. @throws {Error} where that fails */
  async put(blob: Blob): Promise<Blob> {
    const answer = await this.write([{ resourceName: this.writeName(blob), data: blob.bytes, finishWrite: true }]);
    if (answer.kind === 'error') throw new Error(`A blob could not be stored: ${answer.code}: ${answer.message}`);
    return blob;
  }

  /** Which of the blobs the server says that it misses. */
  async missing(blobs: readonly Blob[]): Promise<readonly string[]> {
    const request = { instanceName: this.endpoint.instance, blobDigests: blobs.map(({ digest }) => digest) };
    const answer = await this.unary(ContentAddressableStorage.service.FindMissingBlobs, request);
    if (answer.kind === 'error') throw new Error(`FindMissingBlobs: ${answer.code}: ${answer.message}`);
    return answer.value.missingBlobDigests.map(({ hash }) => hash);
  }

  [Symbol.dispose](): void {
    this.#client.close();
  }
}

function connect({ address }: Endpoint): Client {
  // What clients take that were told nothing else: a larger message breaks them.
  return new Client(address, credentials.createInsecure(), { 'grpc.max_receive_message_length': MESSAGE_BYTES });
}

function failed(error: unknown): { readonly kind: 'error'; readonly code: Code; readonly message: string } {
  if (!(error instanceof Error)) return { kind: 'error', code: 'UNKNOWN', message: 'no answer and no error' };
  const { code, details } = error as Partial<ServiceError>; // what grpc-js makes of a status; checked below
  const name = typeof code === 'number' ? status[code] : undefined;
  return { kind: 'error', code: (name ?? 'UNKNOWN') as Code, message: details ?? error.message }; // a name of the enum
}

/** Bytes as a blob. */
export function blobOf(bytes: Buffer): Blob {
  return { bytes, digest: { hash: createHash('sha256').update(bytes).digest('hex'), sizeBytes: String(bytes.byteLength) } };
}

/** A blob that no server has seen. */
export function freshBlob(sizeBytes: number): Blob {
  return blobOf(randomBytes(sizeBytes));
}

/** The blob of no bytes. */
export const EMPTY = blobOf(Buffer.alloc(0));
