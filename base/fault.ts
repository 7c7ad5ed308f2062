import { reasonOf } from './thrown.ts';

/**
 * Everything that can go wrong at an interface of ours, as a closed set. A step that exits 1 is a result, not a fault.
 * `retry` tells a caller what to do: `never` (the same call fails again), `backoff` (later, by itself), `caller`
 * (after doing something first, which the message names).
 * `proto/status.ts` maps each code to its gRPC status; `docs/errors.md` lists them all (both are tested).
 */
export const FAULTS = {
  BAD_REQUEST: { retry: 'never', about: 'The request is malformed; the message names the field and the fix.' },
  UNAUTHENTICATED: { retry: 'never', about: 'No valid credential came with the call.' },
  GRANT_EXPIRED: { retry: 'caller', about: "The grant of an agent's attempt has run out: the next renewal of its lease brings another." },
  FORBIDDEN: { retry: 'never', about: 'The caller is known but may not do this.' },
  BUILD_UNKNOWN: { retry: 'never', about: 'No build of that id is visible to the caller.' },
  STEP_UNKNOWN: { retry: 'never', about: 'The build has no step of that name.' },
  LOG_UNKNOWN: { retry: 'never', about: 'The attempt has no log (any more).' },
  BLOB_UNKNOWN: { retry: 'never', about: 'The store does not hold the blob.' },
  OBJECT_UNKNOWN: { retry: 'never', about: 'The bucket has no object of that name.' },
  OBJECT_EXISTS: { retry: 'never', about: 'The bucket has an object of that name already.' },
  PACK_GONE: { retry: 'caller', about: 'The pack was condemned meanwhile: store the blobs again, in a new one.' },
  HOLD_LOST: { retry: 'caller', about: 'The time for which blobs were promised is over: look for them again.' },
  ACTION_UNKNOWN: { retry: 'never', about: 'The action cache has no complete entry for the action: a miss.' },
  IDEMPOTENCY_CONFLICT: { retry: 'never', about: 'The idempotency key was used before with another request.' },
  WRONG_STATE: { retry: 'never', about: 'The thing exists but is not in a state that allows this.' },
  CURSOR_EXPIRED: { retry: 'caller', about: 'The cursor is older than what is kept: take a snapshot and go on from it.' },
  PROTOCOL_UNSUPPORTED: { retry: 'never', about: 'The two sides share no protocol version: upgrade the older one.' },
  LIMIT_EXCEEDED: { retry: 'backoff', about: 'A queue, quota or size limit is full; the message says which.' },
  TOO_LARGE: { retry: 'never', about: 'The thing is larger than the stated limit.' },
  DIGEST_MISMATCH: { retry: 'never', about: 'Uploaded bytes do not have the digest that the caller named.' },
  BLOB_CORRUPT: { retry: 'caller', about: 'Stored bytes did not match their digest; the copy was evicted: upload again.' },
  OUT_OF_RANGE: { retry: 'never', about: 'An offset lies outside of the blob or log.' },
  PATH_ESCAPES: { retry: 'never', about: 'A path or link leads out of its tree.' },
  BUCKET_UNAVAILABLE: {
    retry: 'backoff',
    about: 'The data plane answers, but the bucket behind it does not; what is staged or lies close by is served.',
  },
  DRAINING: { retry: 'backoff', about: 'This process is stopping and takes no new work.' },
  LEDGER_UNAVAILABLE: { retry: 'backoff', about: 'The ledger cannot be reached or cannot write.' },
  NO_LEADER: { retry: 'backoff', about: 'No coordinator leads at the moment; one will within seconds.' },
  LEDGER_FENCED: { retry: 'never', about: 'Another coordinator leads now: this one steps down.' },
  STORE_UNAVAILABLE: { retry: 'backoff', about: 'The blob store cannot be reached or cannot write.' },
  STORE_FULL: { retry: 'backoff', about: 'The store has no room for the blob.' },
  PEER_UNAVAILABLE: { retry: 'backoff', about: 'The other process cannot be reached.' },
  DEADLINE: { retry: 'backoff', about: 'The call did not finish in its time.' },
  CANCELLED: { retry: 'never', about: 'The caller gave up on the call.' },
  UNIMPLEMENTED: { retry: 'never', about: 'This server does not offer the call.' },
  SANDBOX_UNAVAILABLE: { retry: 'caller', about: 'The host cannot offer the sandbox that was asked for.' },
  CONFIG_INVALID: { retry: 'never', about: 'The configuration is wrong; the message lists every problem.' },
  INTERNAL: { retry: 'never', about: 'A bug of ours; the log of the process has the details.' },
} as const satisfies Record<string, { readonly retry: 'never' | 'backoff' | 'caller'; readonly about: string }>;

export type FaultCode = keyof typeof FAULTS;

/** What a fault may say beyond its message; each part ends up in the status details where it has a place there. */
export type FaultDetail = {
  /** The request's or file's field that is wrong, as the caller wrote it (`steps[3].timeout`). */
  readonly field?: string;
  /** What to do about it, a sentence. */
  readonly hint?: string;
  /** When to try again, where we know. */
  readonly retryAfterMs?: number;
  readonly cause?: unknown;
};

/** The one error class at our interfaces. `message` is written for the person who will read it. */
export class Fault extends Error {
  override readonly name = 'Fault';
  readonly code: FaultCode;
  readonly field: string | undefined;
  readonly hint: string | undefined;
  readonly retryAfterMs: number | undefined;

  constructor(code: FaultCode, message: string, detail: FaultDetail = {}) {
    super(message, detail.cause === undefined ? undefined : { cause: detail.cause });
    this.code = code;
    this.field = detail.field;
    this.hint = detail.hint;
    this.retryAfterMs = detail.retryAfterMs;
  }
}

/** Whether `error` is a fault, of `code` where one is given. */
export function isFault(error: unknown, code?: FaultCode): error is Fault {
  return error instanceof Fault && (code === undefined || error.code === code);
}

/** What a fault says beyond its message, for another one that stands for it; its cause stays behind. */
export function detailOf({ field, hint, retryAfterMs }: Fault): FaultDetail {
  return {
    ...(field === undefined ? {} : { field }),
    ...(hint === undefined ? {} : { hint }),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  };
}

/** `error` as a fault, its message prefixed with what was being done; a foreign error becomes INTERNAL. */
export function wrap(error: unknown, doing: string): Fault {
  if (error instanceof Fault) return new Fault(error.code, `${doing}: ${error.message}`, { ...detailOf(error), cause: error });
  const message = reasonOf(error);
  return new Fault('INTERNAL', `${doing}: ${message}`, { cause: error });
}
