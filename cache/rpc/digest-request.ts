import { digestFromProto } from '../../proto/convert.ts';
import type { GetActionResultRequest__Output } from '../../proto/gen/build/bazel/remote/execution/v2/GetActionResultRequest.ts';
import { loadProto } from '../../proto/load.ts';
import type { Digest } from '../digest.ts';
import { DIGEST_BYTES_MAX, plainDigest } from '../wire/digest.ts';

/** A request that names blobs. */
export type DigestRequest = {
  readonly instanceName: string;
  readonly digestFunction: string | number;
  /** How many digests there are, good or bad. */
  readonly count: number;
  /** @throws {Fault} BAD_REQUEST naming the first that is none */
  readonly digests: () => readonly Digest[];
};

/** How such a request looks on the wire: numbers of its fields, and how any form of it is read. */
export type DigestMessage = {
  readonly digests: number;
  readonly digestFunction: number;
  /** A list of enums that nobody asks for. */
  readonly ignored?: number;
  /** Name of the field with the digests, for messages of errors. */
  readonly name: string;
  /** Reads it in any form. @throws Error where the bytes are no such message */
  readonly anyForm: (bytes: Buffer) => {
    readonly instanceName: string;
    readonly digestFunction: string | number;
    readonly digests: readonly Parameters<typeof digestFromProto>[0][];
  };
};

export const FIND_MISSING: DigestMessage = {
  digests: 2,
  digestFunction: 3,
  name: 'blob_digests',
  anyForm: (bytes) => {
    const { blobDigests: digests, ...rest } = loadProto().build.bazel.remote.execution.v2.FindMissingBlobsRequest.deserialize(bytes);
    return { ...rest, digests };
  },
};
export const BATCH_READ: DigestMessage = {
  digests: 2,
  ignored: 3,
  digestFunction: 4,
  name: 'digests',
  anyForm: (bytes) => loadProto().build.bazel.remote.execution.v2.BatchReadBlobsRequest.deserialize(bytes),
};

/**
 * Reads a request of thousands of digests, in the form in which everybody writes it many times as fast as from its definition, and
 * from that in any other. Whether the digests are any is only said when they are asked for: first comes who asks. For `requestDeserialize`.
 * @throws Error where the bytes are no such message
 */
export function readDigestRequest(bytes: Buffer, message: DigestMessage): DigestRequest {
  const plain = plainRequest(bytes, message);
  if (plain !== undefined) return plain;
  const { instanceName, digestFunction, digests } = message.anyForm(bytes);
  const read = () => digests.map((digest, index) => digestFromProto(digest, `${message.name}[${index}]`));
  return { instanceName, digestFunction, count: digests.length, digests: read };
}

/** A request for an action's result. */
export type ResultRequest = {
  readonly instanceName: string;
  readonly digestFunction: string | number;
  /** @throws {Fault} BAD_REQUEST where it names no blob */
  readonly action: () => Digest;
  /** What is wanted in the answer itself; undefined where nothing is. */
  readonly inline: InlineWishes | undefined;
};
export type InlineWishes = Pick<GetActionResultRequest__Output, 'inlineStdout' | 'inlineStderr' | 'inlineOutputFiles'>;

const GET_RESULT = { digests: 2, digestFunction: 6 };

/** As `readDigestRequest`: what names an instance and an action and asks for nothing more is read by hand. */
export function readResultRequest(bytes: Buffer): ResultRequest {
  const plain = plainRequest(bytes, GET_RESULT);
  const [digest, ...more] = plain?.digests() ?? [];
  if (plain !== undefined && digest !== undefined && more.length === 0) {
    const { instanceName, digestFunction } = plain;
    return { instanceName, digestFunction, action: () => digest, inline: undefined };
  }
  const request = loadProto().build.bazel.remote.execution.v2.GetActionResultRequest.deserialize(bytes);
  const { instanceName, digestFunction, actionDigest, inlineStdout, inlineStderr, inlineOutputFiles } = request;
  const asks = inlineStdout || inlineStderr || inlineOutputFiles.length > 0;
  const inline = asks ? { inlineStdout, inlineStderr, inlineOutputFiles } : undefined;
  return { instanceName, digestFunction, action: () => digestFromProto(actionDigest, 'action_digest'), inline };
}

/** The digest functions that everybody uses, by number. */
const FUNCTIONS = ['UNKNOWN', 'SHA256'] as const;
const INSTANCE_NAME = 1;
const VARINT = 0;
const BYTES = 2;

/**
 * A message of fields whose key, length or number takes one byte each, as all do that clients send. Undefined for any other, also where
 * one of its digests is none.
 */
function plainRequest(bytes: Buffer, message: Pick<DigestMessage, 'digests' | 'digestFunction' | 'ignored'>): DigestRequest | undefined {
  const digestKey = keyOf(message.digests, BYTES);
  const digests: Digest[] = [];
  let instanceName = '';
  let digestFunction: (typeof FUNCTIONS)[number] = FUNCTIONS[0];
  for (let at = 0; at < bytes.byteLength;) {
    const key = bytes[at];
    const value = bytes[at + 1] ?? 128;
    if (value > 127) return undefined;
    at += 2;
    if (key === keyOf(message.digestFunction, VARINT)) {
      const named = FUNCTIONS[value];
      if (named === undefined) return undefined;
      digestFunction = named;
      continue;
    }
    const end = at + value;
    if (end > bytes.byteLength) return undefined;
    if (key === digestKey) {
      const digest = value > DIGEST_BYTES_MAX ? undefined : plainDigest(bytes, at, end);
      if (digest === undefined) return undefined;
      digests.push(digest);
    } else if (key === keyOf(INSTANCE_NAME, BYTES)) {
      if (!isEachBelow128(bytes, at, end)) return undefined;
      instanceName = bytes.toString('latin1', at, end);
    } else if (message.ignored === undefined || key !== keyOf(message.ignored, BYTES) || !isEachBelow128(bytes, at, end)) return undefined;
    at = end;
  }
  return { instanceName, digestFunction, count: digests.length, digests: () => digests };
}

function keyOf(field: number, type: number): number {
  return field * 8 + type;
}

/** Text in ASCII; or numbers of a byte each. */
function isEachBelow128(bytes: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end; at += 1) if ((bytes[at] ?? 128) > 127) return false;
  return true;
}
