import { Fault } from '../../../base/fault.ts';
import { callServerStream } from '../../../proto/dial.ts';
import { HOPS_MAX } from '../../../proto/execution-relay.ts';
import type { ByteStreamHandlers } from '../../../proto/gen/google/bytestream/ByteStream.ts';
import type { ReadRequest__Output } from '../../../proto/gen/google/bytestream/ReadRequest.ts';
import type { ReadResponse } from '../../../proto/gen/google/bytestream/ReadResponse.ts';
import { clientStream, serverStream, unary, type Call } from '../../../proto/handlers.ts';
import { loadProto } from '../../../proto/load.ts';
import type { ServedService } from '../../../proto/serve.ts';
import { callerOf } from '../access.ts';
import { brief, wholeField } from '../fields.ts';
import { noLeader } from '../forward.ts';
import { unknownOperation } from './operation-stream.ts';
import { roleFor, type ReapiOptions } from './options.ts';
import { streamOfName } from './stream-name.ts';
import { visibleOperation } from './visible.ts';
import { readStepLog } from '../../shell/step-log.ts';

/** Logs of actions under way, as streams of bytes that go on until the action ends. Blobs are the data plane's. */
export function logStreamService(options: ReapiOptions): ServedService {
  const { env } = options;
  const handlers: ByteStreamHandlers = {
    Read: serverStream(env, 'LogStream.Read', (request, call) => readStream(options, request, call)),
    Write: clientStream(env, 'LogStream.Write', async () => Promise.reject(notHere())),
    QueryWriteStatus: unary(env, 'LogStream.QueryWriteStatus', async () => Promise.reject(notHere())),
  };
  return { definition: loadProto().google.bytestream.ByteStream.service, handlers };
}

async function* readStream(options: ReapiOptions, request: ReadRequest__Output, call: Call): AsyncGenerator<ReadResponse> {
  const caller = callerOf(call);
  const stream = streamOfName(request.resourceName);
  if (stream === undefined) throw notHere(request.resourceName);
  const role = await roleFor(options, call);
  if (role.kind === 'following') {
    if (role.leader === undefined) throw noLeader();
    const client = options.relay.client(loadProto().google.bytestream.ByteStream, role.leader.address);
    return yield* callServerStream(client, 'read', request, options.relay.options(call, HOPS_MAX));
  }
  if (visibleOperation(role.shell.core, caller, stream.build) === undefined) throw unknownOperation();
  const offset = wholeField(request.readOffset, 'read_offset', 0, Number.MAX_SAFE_INTEGER);
  let left = wholeField(request.readLimit, 'read_limit', 0, Number.MAX_SAFE_INTEGER) || Infinity;
  const over = AbortSignal.any([call.signal, role.over, options.role.stopping]);
  for await (const { bytes } of readStepLog(role.shell, { step: stream.step, attempt: 0, offset, follow: true }, over)) {
    if (bytes.byteLength > 0) yield { data: Buffer.from(bytes.subarray(0, left)) };
    left -= bytes.byteLength;
    if (left <= 0) return;
  }
  call.signal.throwIfAborted();
  if (over.aborted)
    throw new Fault('DRAINING', 'This coordinator leads no more: read on from where the log broke off', { retryAfterMs: 100 });
}

function notHere(name = ''): Fault {
  return new Fault('UNIMPLEMENTED', `"${brief(name)}" is no log of an action: blobs are read from and written to the data plane`, {
    field: 'resource_name',
  });
}
