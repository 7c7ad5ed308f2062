import { Metadata, status, type ServiceError } from '@grpc/grpc-js';
import { Fault, FAULTS, type FaultCode } from '../base/fault.ts';
import type { Status__Output } from './gen/google/rpc/Status.ts';
import { loadProto } from './load.ts';

/** The gRPC status of each fault. A new code does not compile until it is mapped. */
export const STATUS: Readonly<Record<FaultCode, status>> = {
  BAD_REQUEST: status.INVALID_ARGUMENT,
  UNAUTHENTICATED: status.UNAUTHENTICATED,
  GRANT_EXPIRED: status.PERMISSION_DENIED,
  FORBIDDEN: status.PERMISSION_DENIED,
  BUILD_UNKNOWN: status.NOT_FOUND,
  STEP_UNKNOWN: status.NOT_FOUND,
  LOG_UNKNOWN: status.NOT_FOUND,
  BLOB_UNKNOWN: status.NOT_FOUND,
  OBJECT_UNKNOWN: status.NOT_FOUND,
  OBJECT_EXISTS: status.ALREADY_EXISTS,
  PACK_GONE: status.ABORTED,
  HOLD_LOST: status.ABORTED,
  ACTION_UNKNOWN: status.NOT_FOUND,
  IDEMPOTENCY_CONFLICT: status.ALREADY_EXISTS,
  WRONG_STATE: status.FAILED_PRECONDITION,
  CURSOR_EXPIRED: status.ABORTED,
  PROTOCOL_UNSUPPORTED: status.FAILED_PRECONDITION,
  LIMIT_EXCEEDED: status.RESOURCE_EXHAUSTED,
  TOO_LARGE: status.INVALID_ARGUMENT,
  DIGEST_MISMATCH: status.INVALID_ARGUMENT,
  BLOB_CORRUPT: status.DATA_LOSS,
  OUT_OF_RANGE: status.OUT_OF_RANGE,
  PATH_ESCAPES: status.INVALID_ARGUMENT,
  DRAINING: status.UNAVAILABLE,
  LEDGER_UNAVAILABLE: status.UNAVAILABLE,
  NO_LEADER: status.UNAVAILABLE,
  LEDGER_FENCED: status.UNAVAILABLE,
  STORE_UNAVAILABLE: status.UNAVAILABLE,
  BUCKET_UNAVAILABLE: status.UNAVAILABLE,
  STORE_FULL: status.RESOURCE_EXHAUSTED,
  PEER_UNAVAILABLE: status.UNAVAILABLE,
  DEADLINE: status.DEADLINE_EXCEEDED,
  CANCELLED: status.CANCELLED,
  UNIMPLEMENTED: status.UNIMPLEMENTED,
  SANDBOX_UNAVAILABLE: status.FAILED_PRECONDITION,
  CONFIG_INVALID: status.INTERNAL,
  INTERNAL: status.INTERNAL,
};

/** What a status without details of ours means: the peer is another server, or gRPC itself made it. */
const FOREIGN: Readonly<Record<status, FaultCode>> = {
  [status.OK]: 'INTERNAL',
  [status.CANCELLED]: 'CANCELLED',
  [status.UNKNOWN]: 'INTERNAL',
  [status.INVALID_ARGUMENT]: 'BAD_REQUEST',
  [status.DEADLINE_EXCEEDED]: 'DEADLINE',
  [status.NOT_FOUND]: 'BLOB_UNKNOWN',
  [status.ALREADY_EXISTS]: 'IDEMPOTENCY_CONFLICT',
  [status.PERMISSION_DENIED]: 'FORBIDDEN',
  [status.RESOURCE_EXHAUSTED]: 'LIMIT_EXCEEDED',
  [status.FAILED_PRECONDITION]: 'WRONG_STATE',
  [status.ABORTED]: 'PEER_UNAVAILABLE',
  [status.OUT_OF_RANGE]: 'OUT_OF_RANGE',
  [status.UNIMPLEMENTED]: 'UNIMPLEMENTED',
  [status.INTERNAL]: 'INTERNAL',
  [status.UNAVAILABLE]: 'PEER_UNAVAILABLE',
  [status.DATA_LOSS]: 'BLOB_CORRUPT',
  [status.UNAUTHENTICATED]: 'UNAUTHENTICATED',
};

/** As a plain number, as it stands in messages. */
const OK_CODE: number = status.OK;

/** The metadata key that carries a serialized google.rpc.Status; gRPC's own convention. */
const DETAILS_KEY = 'grpc-status-details-bin';

/** Who defines our reasons, in google.rpc.ErrorInfo. */
const DOMAIN = 'switchyard';

/** Longest text of a status. It travels in a header, percent-encoded, and peers limit those. */
const TEXT_CHARS_MAX = 2_000;

const TYPE_PREFIX = 'type.googleapis.com/google.rpc.';

/** What gRPC sends to say that a call failed. */
export type CallStatus = { readonly code: status; readonly details: string; readonly metadata: Metadata };

/** The status that carries `fault`: its code and message, and whatever else it says as google.rpc details. */
export function faultToStatus(fault: Fault): CallStatus {
  const message = headerText(fault.message);
  const code = STATUS[fault.code];
  const bytes = loadProto().google.rpc.Status.serialize({ code, message, details: detailsOf(fault) });
  const metadata = new Metadata();
  metadata.set(DETAILS_KEY, bytes);
  return { code, details: message, metadata };
}

/** `fault` as a google.rpc.Status message, for answers that carry one status per item. */
export function faultToRpcStatus(fault: Fault): { code: number; message: string; details: Detail[] } {
  return { code: STATUS[fault.code], message: headerText(fault.message), details: detailsOf(fault) };
}

/** The fault that `error` stands for; equal to the one that was sent where the server is ours. */
export function faultFromStatus(error: ServiceError): Fault {
  const bytes = error.metadata?.get(DETAILS_KEY).find((value) => Buffer.isBuffer(value));
  const decoded = bytes === undefined ? undefined : decodeStatus(bytes);
  return faultFrom(error.code, error.details || error.message, decoded?.details ?? [], error);
}

/** The fault in a google.rpc.Status message, or undefined where it says OK. */
export function faultFromRpcStatus(message: Status__Output | null | undefined): Fault | undefined {
  if (message === null || message === undefined || message.code === OK_CODE) return undefined;
  return faultFrom(message.code, message.message, message.details, undefined);
}

type Detail = { type_url: string; value: Buffer };

function detailsOf(fault: Fault): Detail[] {
  const rpc = loadProto().google.rpc;
  const details: Detail[] = [];
  const add = (name: string, value: Buffer) => void details.push({ type_url: `${TYPE_PREFIX}${name}`, value });
  const field = fault.field === undefined ? undefined : headerText(fault.field);
  const hint = fault.hint === undefined ? undefined : headerText(fault.hint);
  const metadata = { ...(field === undefined ? {} : { field }), ...(hint === undefined ? {} : { hint }) };
  add('ErrorInfo', rpc.ErrorInfo.serialize({ reason: fault.code, domain: DOMAIN, metadata }));
  const description = headerText(fault.message);
  if (field !== undefined && STATUS[fault.code] === status.INVALID_ARGUMENT) {
    add('BadRequest', rpc.BadRequest.serialize({ fieldViolations: [{ field, description }] }));
  }
  if (STATUS[fault.code] === status.FAILED_PRECONDITION) {
    add(
      'PreconditionFailure',
      rpc.PreconditionFailure.serialize({ violations: [{ type: fault.code, subject: field ?? '', description }] }),
    );
  }
  if (fault.retryAfterMs !== undefined) {
    const seconds = Math.floor(fault.retryAfterMs / 1_000);
    const nanos = Math.round((fault.retryAfterMs % 1_000) * 1_000_000);
    add('RetryInfo', rpc.RetryInfo.serialize({ retryDelay: { seconds, nanos } }));
  }
  return details;
}

function decodeStatus(bytes: Buffer): Status__Output | undefined {
  try {
    return loadProto().google.rpc.Status.deserialize(bytes);
  } catch {
    return undefined; // a foreign server's details; code and text of the status say enough
  }
}

function faultFrom(code: number, text: string, details: Status__Output['details'], cause: unknown): Fault {
  const rpc = loadProto().google.rpc;
  const read = <T>(name: string, decode: (bytes: Buffer) => T): T | undefined => {
    const value = details.find((detail) => detail.type_url === `${TYPE_PREFIX}${name}`)?.value;
    try {
      return value === undefined ? undefined : decode(value);
    } catch {
      return undefined;
    }
  };
  const info = read('ErrorInfo', rpc.ErrorInfo.deserialize);
  const ours = info?.domain === DOMAIN && isFaultCode(info.reason) ? info.reason : undefined;
  const field = info?.metadata['field'] ?? read('BadRequest', rpc.BadRequest.deserialize)?.fieldViolations[0]?.field;
  const hint = info?.metadata['hint'];
  const delay = read('RetryInfo', rpc.RetryInfo.deserialize)?.retryDelay;
  return new Fault(ours ?? FOREIGN[isStatus(code) ? code : status.UNKNOWN], text, {
    ...(field === undefined ? {} : { field }),
    ...(hint === undefined ? {} : { hint }),
    ...(delay === null || delay === undefined ? {} : { retryAfterMs: Number(delay.seconds) * 1_000 + delay.nanos / 1_000_000 }),
    ...(cause === undefined ? {} : { cause }),
  });
}

function isFaultCode(text: string): text is FaultCode {
  return Object.hasOwn(FAULTS, text);
}

function isStatus(code: number): code is status {
  return Object.hasOwn(FOREIGN, code);
}

/** `text` as it may travel in a header: bounded, and without halves of surrogate pairs, which cannot be encoded. */
function headerText(text: string): string {
  const cut = text.length <= TEXT_CHARS_MAX ? text : `${text.slice(0, TEXT_CHARS_MAX)}… (${text.length - TEXT_CHARS_MAX} more characters)`;
  return cut.toWellFormed();
}
