import { status as grpcStatus } from '@grpc/grpc-js';
import { systemClock } from '../../../base/clock.ts';
import { silentLogger } from '../../../base/log.ts';
import type { Secret } from '../../../base/secret.ts';
import { digestOf, type Digest } from '../../../cache/digest.ts';
import { openDataPlane, type DataPlane } from '../../../cache/rpc/client.ts';
import { buildTree, type TreeEntry } from '../../../cache/tree/build.ts';
import { digestToProto } from '../../../proto/convert.ts';
import { callServerStream, callUnary, dial } from '../../../proto/dial.ts';
import type { Action } from '../../../proto/gen/build/bazel/remote/execution/v2/Action.ts';
import type { Command } from '../../../proto/gen/build/bazel/remote/execution/v2/Command.ts';
import type { ExecuteOperationMetadata__Output } from '../../../proto/gen/build/bazel/remote/execution/v2/ExecuteOperationMetadata.ts';
import type { ExecuteRequest } from '../../../proto/gen/build/bazel/remote/execution/v2/ExecuteRequest.ts';
import type { ExecuteResponse__Output } from '../../../proto/gen/build/bazel/remote/execution/v2/ExecuteResponse.ts';
import type { RequestMetadata } from '../../../proto/gen/build/bazel/remote/execution/v2/RequestMetadata.ts';
import type { Tree__Output } from '../../../proto/gen/build/bazel/remote/execution/v2/Tree.ts';
import type { Operation__Output } from '../../../proto/gen/google/longrunning/Operation.ts';
import { loadProto } from '../../../proto/load.ts';

const never = new AbortController().signal;

export { grpcStatus };

/** An operation with what is packed in it. */
export type Seen = {
  readonly name: string;
  readonly done: boolean;
  readonly metadata: ExecuteOperationMetadata__Output;
  readonly response: ExecuteResponse__Output | undefined;
};

export type Wanted = {
  readonly command: Command;
  readonly action?: Action;
  /** Input files by path. */
  readonly inputs?: Readonly<Record<string, string>>;
};

type Named = { readonly hash: string; readonly sizeBytes: string } | null | undefined;

/** A build tool that speaks the Remote Execution API to one address, and knows nothing of ours. */
export interface RawTool extends Disposable {
  readonly data: DataPlane;
  /** Stores an action and all that it names. */
  upload(wanted: Wanted): Promise<Digest>;
  /** Encodes an action without storing anything. */
  encode(wanted: Wanted): { readonly digest: Digest; readonly blobs: ReadonlyMap<Digest, Uint8Array> };
  execute(request: ExecuteRequest, signal?: AbortSignal, about?: RequestMetadata): AsyncGenerator<Seen>;
  wait(name: string, signal?: AbortSignal): AsyncGenerator<Seen>;
  /** The last operation of an execution. */
  run(wanted: Wanted, request?: ExecuteRequest): Promise<Seen>;
  text(digest: Named): Promise<string>;
  tree(digest: Named): Promise<Tree__Output>;
  readonly operations: ReturnType<typeof operationsClient>;
  readonly capabilities: ReturnType<typeof capabilitiesClient>;
  readonly bytes: ReturnType<typeof bytesClient>;
}

const operationsClient = (link: Link) => dial(loadProto().google.longrunning.Operations, link, 'control');
const capabilitiesClient = (link: Link) => dial(loadProto().build.bazel.remote.execution.v2.Capabilities, link, 'control');
const bytesClient = (link: Link) => dial(loadProto().google.bytestream.ByteStream, link, 'bulk');

type Link = { readonly address: string; readonly token: Secret | undefined };

export function openRawTool(address: string, token?: Secret, instanceName = ''): RawTool {
  const link = { address, token };
  const v2 = loadProto().build.bazel.remote.execution.v2;
  const data = openDataPlane({ link, instanceName, env: { log: silentLogger, clock: systemClock } });
  const execution = dial(v2.Execution, link, 'control');
  const [operations, capabilities, bytes] = [operationsClient(link), capabilitiesClient(link), bytesClient(link)];
  const encode: RawTool['encode'] = ({ command, action, inputs = {} }) => {
    const blobs = new Map<Digest, Uint8Array>();
    const put = (blob: Uint8Array): Digest => {
      const digest = digestOf(blob);
      blobs.set(digest, blob);
      return digest;
    };
    const entries = Object.entries(inputs).map(([path, text]): TreeEntry => {
      return { kind: 'file', path, digest: put(Buffer.from(text)), executable: text.startsWith('#!') };
    });
    const tree = buildTree(entries);
    for (const [digest, encoded] of tree.encoded) blobs.set(digest, encoded);
    const commandDigest = digestToProto(put(v2.Command.serialize(command)));
    const digest = put(v2.Action.serialize({ commandDigest, inputRootDigest: digestToProto(tree.root), ...action }));
    return { digest, blobs };
  };
  const upload: RawTool['upload'] = async (wanted) => {
    const { digest, blobs } = encode(wanted);
    await Promise.all([...blobs].map(([name, blob]) => data.store.put(name, blob, never)));
    return digest;
  };
  const execute: RawTool['execute'] = async function* (request, signal = never, about = {}) {
    const metadata = { 'build.bazel.remote.execution.v2.requestmetadata-bin': v2.RequestMetadata.serialize(about) };
    for await (const operation of callServerStream(execution, 'execute', { instanceName, ...request }, { signal, metadata }))
      yield seen(operation);
  };
  const read = async (digest: Named): Promise<Buffer> => {
    if (!digest) return Buffer.alloc(0);
    const resourceName = `${instanceName === '' ? '' : `${instanceName}/`}blobs/${digest.hash}/${digest.sizeBytes}`;
    const chunks: Buffer[] = [];
    for await (const { data: chunk } of callServerStream(bytes, 'read', { resourceName }, { signal: never })) chunks.push(chunk);
    return Buffer.concat(chunks);
  };
  return {
    data,
    operations,
    capabilities,
    bytes,
    encode,
    upload,
    execute,
    async *wait(name, signal = never) {
      for await (const operation of callServerStream(execution, 'waitExecution', { name }, { signal })) yield seen(operation);
    },
    async run(wanted, request = {}) {
      const actionDigest = digestToProto(await upload(wanted));
      return last(execute({ actionDigest, ...request }));
    },
    text: async (digest) => (await read(digest)).toString(),
    tree: async (digest) => v2.Tree.deserialize(await read(digest)),
    [Symbol.dispose]() {
      for (const client of [execution, operations, capabilities, bytes]) client.close();
      void data[Symbol.asyncDispose]();
    },
  };
}

/** What is packed in an operation. */
export function seen({ name, done, metadata, response }: Operation__Output): Seen {
  const v2 = loadProto().build.bazel.remote.execution.v2;
  const bytes = metadata?.value ?? Buffer.alloc(0);
  return {
    name,
    done,
    metadata: v2.ExecuteOperationMetadata.deserialize(bytes),
    response: response === null || response === undefined ? undefined : v2.ExecuteResponse.deserialize(response.value),
  };
}

export async function last<T>(items: AsyncIterable<T>): Promise<T> {
  let newest: { readonly item: T } | undefined;
  for await (const item of items) newest = { item };
  if (newest === undefined) throw new Error('The stream ended without a message');
  return newest.item;
}

export async function operationOf(tool: RawTool, name: string): Promise<Seen> {
  return seen(await callUnary(tool.operations, 'getOperation', { name }, { signal: never }));
}
