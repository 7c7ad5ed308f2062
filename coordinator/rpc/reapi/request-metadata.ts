import type { Metadata } from '@grpc/grpc-js';
import type { RequestMetadata__Output } from '../../../proto/gen/build/bazel/remote/execution/v2/RequestMetadata.ts';
import { loadProto } from '../../../proto/load.ts';

/** The metadata in which build tools say what a call is part of. */
export const REQUEST_METADATA = 'build.bazel.remote.execution.v2.requestmetadata-bin';

/** What a tool says of a call; empty where it says nothing. It gives no right to anything. */
export type ToolCall = {
  readonly tool: string;
  /** One run of the tool, such as one `bazel build`. */
  readonly invocation: string;
  readonly target: string;
  readonly mnemonic: string;
};

const TEXT_MAX = 200;

/** What the call's metadata say of it; what cannot be read counts as not said. */
export function toolCallOf(metadata: Metadata): ToolCall {
  const said = decoded(metadata);
  return {
    tool: plain(said?.toolDetails?.toolName),
    invocation: plain(said?.toolInvocationId),
    target: plain(said?.targetId),
    mnemonic: plain(said?.actionMnemonic),
  };
}

function decoded(metadata: Metadata): RequestMetadata__Output | undefined {
  const [bytes] = metadata.get(REQUEST_METADATA);
  if (!Buffer.isBuffer(bytes)) return undefined;
  try {
    return loadProto().build.bazel.remote.execution.v2.RequestMetadata.deserialize(bytes);
  } catch {
    return undefined;
  }
}

/** The text without what no label may hold. */
function plain(text: string | undefined): string {
  // oxlint-disable-next-line no-control-regex -- control characters are what is left out
  return (text ?? '').replaceAll(/[\u0000-\u001f\u007f]/g, '').slice(0, TEXT_MAX);
}
