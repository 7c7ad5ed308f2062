import type { Metadata } from '@grpc/grpc-js';
import { Fault } from '../../base/fault.ts';
import type { WriteRequest__Output } from '../../proto/gen/google/bytestream/WriteRequest.ts';
import type { WriteResponse } from '../../proto/gen/google/bytestream/WriteResponse.ts';
import type { Call } from '../../proto/handlers.ts';
import { loadProto } from '../../proto/load.ts';
import { sizeOf } from '../digest.ts';
import { decompressZstd, STRANGERS_WINDOW_LOG } from '../zstd.ts';
import { accessOf, requireUploads, type Access } from './access.ts';
import { parseResourceName, type ResourceName } from './resource-name.ts';
import type { DataPlaneParts } from './service.ts';
import { tellStaged } from './staging-service.ts';
import type { Upload, Uploads } from './uploads.ts';

/** Names an upload; ids are the caller's own choice and need not be different for different blobs. */
export function uploadKey(access: Access, name: ResourceName): string {
  const { identity, view } = access;
  const who = identity.kind === 'caller' ? identity.caller.name : identity.name;
  return JSON.stringify([identity.kind, who, view.project, view.writes, name.uuid, name.encoding, name.digest]);
}

/** ByteStream.Write: one blob, from its beginning or from where an earlier call of the same upload broke or ended without finishing it. */
export async function writeBlob(
  parts: DataPlaneParts,
  uploads: Uploads,
  requests: AsyncIterable<WriteRequest__Output>,
  call: Call,
): Promise<WriteResponse> {
  const messages = requests[Symbol.asyncIterator]();
  try {
    const first = await messages.next();
    if (first.done === true) throw new Fault('BAD_REQUEST', 'The write has no message');
    const name = parseResourceName(first.value.resourceName, 'write');
    const access = accessOf(parts, name.instance, call);
    requireUploads(access);
    const write: Write = { parts, name, access, uploads, call, messages, endedEarly: false };
    const missing = await parts.storeOf(access.view).findMissing([name.digest], call.signal);
    const how = missing.length === 0 ? alreadyThere : name.encoding === 'zstd' ? writeCompressed : writeIdentity;
    const answer = await how(write, first.value);
    await tellStaged(parts, access, [name.digest], call);
    return answer;
  } finally {
    await messages.return?.();
  }
}

type Write = {
  readonly parts: DataPlaneParts;
  readonly name: ResourceName;
  readonly access: Access;
  readonly uploads: Uploads;
  readonly call: Call;
  readonly messages: AsyncIterator<WriteRequest__Output>;
  /** Whether the client ended its side before it had finished the write. */
  endedEarly: boolean;
};

async function writeIdentity(write: Write, first: WriteRequest__Output): Promise<WriteResponse> {
  const { name, uploads, call } = write;
  const store = write.parts.storeOf(write.access.view);
  const size = String(sizeOf(name.digest));
  const start = offsetOf(first);
  if (start === 0 && first.finishWrite) {
    // The common case of small blobs: everything in one message.
    await store.put(name.digest, first.data, call.signal);
    await refuseMore(write);
    return { committedSize: size };
  }
  const key = uploadKey(write.access, name);
  const upload = start === 0 ? undefined : uploads.resume(key);
  if (start !== 0 && upload?.receivedBytes !== start) {
    if (upload !== undefined) uploads.suspend(key, upload);
    throw badOffset(start, upload?.receivedBytes ?? 0);
  }
  // Not bound to this call's signal: when the call breaks, the next one goes on.
  const feeding = upload ?? uploads.open(key, (source) => store.put(name.digest, source, new AbortController().signal));
  let broken = true;
  try {
    await feed(write, first, feeding);
    await feeding.stored;
    broken = false;
    return { committedSize: size };
  } catch (error) {
    // A client of Node that gives up ends its side first, and resets the stream in a packet that may come much later.
    const isSuspended = call.signal.aborted || write.endedEarly;
    if (!isSuspended || feeding.settled) {
      broken = false;
      feeding.fail(error);
    }
    throw error;
  } finally {
    if (broken) uploads.suspend(key, feeding);
    else uploads.close(key, feeding);
  }
}

/** Hands the messages' data on until the last one; stops where the store has ended the upload. */
async function feed(write: Write, first: WriteRequest__Output, upload: Upload): Promise<void> {
  for await (const chunk of dataOf(write, first, upload.receivedBytes)) {
    await upload.feed(chunk);
    if (upload.settled) return;
  }
  upload.end();
}

async function writeCompressed(write: Write, first: WriteRequest__Output): Promise<WriteResponse> {
  if (offsetOf(first) !== 0) throw badOffset(offsetOf(first), 0);
  const { name, call } = write;
  const counted = { bytes: 0 };
  const store = write.parts.storeOf(write.access.view);
  await store.put(name.digest, decompressZstd(dataOf(write, first, 0, counted), STRANGERS_WINDOW_LOG), call.signal);
  return { committedSize: committedSize(call.metadata, name, counted.bytes, String(counted.bytes)) };
}

/** The blob need not be sent. Some clients count what they sent, and believe only that. */
async function alreadyThere(write: Write, first: WriteRequest__Output): Promise<WriteResponse> {
  const { name, call } = write;
  if (name.encoding === 'identity') return { committedSize: String(sizeOf(name.digest)) };
  if (!countsSentBytes(toolOf(call.metadata))) return { committedSize: committedSize(call.metadata, name, 0, '-1') };
  const counted = { bytes: 0 };
  for await (const _ of dataOf(write, first, 0, counted));
  return { committedSize: String(counted.bytes) };
}

/** The data of all messages in order, up to the one that finishes the write. @throws {Fault} BAD_REQUEST */
async function* dataOf(
  write: Write,
  first: WriteRequest__Output,
  from: number,
  counted: { bytes: number } = { bytes: 0 },
): AsyncGenerator<Uint8Array, void, undefined> {
  let at = from;
  for (let message = first; ;) {
    if (message.resourceName !== '' && message.resourceName !== first.resourceName) {
      throw new Fault('BAD_REQUEST', 'resource_name changed within a write', { field: 'resource_name' });
    }
    if (offsetOf(message) !== at) throw badOffset(offsetOf(message), at);
    at += message.data.byteLength;
    counted.bytes += message.data.byteLength;
    if (message.data.byteLength > 0) yield message.data;
    if (message.finishWrite) {
      await refuseMore(write);
      refuseEnded(write);
      return;
    }
    const next = await write.messages.next();
    if (next.done === true) {
      write.endedEarly = true;
      throw new Fault('BAD_REQUEST', 'The write ended without finish_write', {
        field: 'finish_write',
        hint: 'Say it in the last message. What came is kept for a minute: QueryWriteStatus tells where to go on.',
      });
    }
    message = next.value;
  }
}

/** An attempt that ended while it wrote leaves nothing. @throws {Fault} FORBIDDEN */
function refuseEnded({ parts, access: { attempt } }: Write): void {
  if (attempt !== undefined && !parts.grants.isOpen(attempt.token)) throw new Fault('FORBIDDEN', 'The attempt ended while it stored this');
}

async function refuseMore({ messages }: Write): Promise<void> {
  // Not waited for: a client may keep its side open until it has the answer.
  const next = await Promise.race([messages.next(), nextTurn()]);
  if (next !== undefined && next.done !== true) throw new Fault('BAD_REQUEST', 'Data came after finish_write', { field: 'finish_write' });
}

async function nextTurn(): Promise<undefined> {
  return new Promise((resolve) => void setImmediate(() => resolve(undefined)));
}

function offsetOf(message: WriteRequest__Output): number {
  const offset = Number(message.writeOffset);
  if (!Number.isSafeInteger(offset) || offset < 0)
    throw new Fault('BAD_REQUEST', `write_offset is ${message.writeOffset}`, { field: 'write_offset' });
  return offset;
}

function badOffset(got: number, want: number): Fault {
  return new Fault('BAD_REQUEST', `write_offset is ${got}; the write goes on at ${want}`, {
    field: 'write_offset',
    hint: 'Ask QueryWriteStatus where to go on.',
  });
}

type Tool = { readonly name: string; readonly version: string };

/** Which program calls, as it says itself; for nothing but the quirks below. */
function toolOf(metadata: Metadata): Tool {
  const [bytes] = metadata.get('build.bazel.remote.execution.v2.requestmetadata-bin');
  try {
    const message = Buffer.isBuffer(bytes) ? loadProto().build.bazel.remote.execution.v2.RequestMetadata.deserialize(bytes) : undefined;
    return { name: message?.toolDetails?.toolName ?? '', version: message?.toolDetails?.toolVersion ?? '' };
  } catch {
    return { name: '', version: '' };
  }
}

/** Bazel 5.0 takes no other answer to a compressed write than the number of bytes that it sent. */
function countsSentBytes(tool: Tool): boolean {
  return tool.name === 'bazel' && tool.version.startsWith('5.0.');
}

/** Clients on Go's remote-apis-sdks want the uncompressed size for a compressed write; the others take what is usual. */
function committedSize(metadata: Metadata, name: ResourceName, sent: number, usual: string): string {
  const tool = toolOf(metadata);
  if (countsSentBytes(tool)) return String(sent);
  return /^(siso|reproxy|reclient|remote-apis-sdks)/i.test(tool.name) ? String(sizeOf(name.digest)) : usual;
}
