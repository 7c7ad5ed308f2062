import type { Fault, FaultCode } from '../../base/fault.ts';
import { text, type FrontParts, type HttpAnswer, type HttpRequest } from './exchange.ts';

/** How one kind of client speaks to its cache. */
export type Protocol = {
  readonly name: string;
  /** Of paths that are this protocol's; the group `instance` is what stands before them, `key` what they are about. */
  readonly pattern: RegExp;
  /** The answer where none of its own is needed: nobody was identified yet. Undefined: go on. */
  readonly beforehand?: (method: string) => HttpAnswer | undefined;
  answer(parts: FrontParts, request: HttpRequest): Promise<HttpAnswer>;
  /** How this client is told that it did not work, such that it does what is best for the build. */
  refusal(fault: Fault, method: string): HttpAnswer;
};

const STATUS: Partial<Readonly<Record<FaultCode, number>>> = {
  BAD_REQUEST: 400,
  DIGEST_MISMATCH: 400,
  OUT_OF_RANGE: 400,
  UNAUTHENTICATED: 401,
  FORBIDDEN: 403,
  BLOB_UNKNOWN: 404,
  TOO_LARGE: 413,
  LIMIT_EXCEEDED: 429,
  UNIMPLEMENTED: 501,
  STORE_FULL: 507,
  STORE_UNAVAILABLE: 503,
  BUCKET_UNAVAILABLE: 503,
  BLOB_CORRUPT: 503,
  DRAINING: 503,
  DEADLINE: 503,
};

/** What HTTP has for a fault; 500 for those that no client of a cache should see. */
export function statusOf({ code }: Fault): number {
  return STATUS[code] ?? 500;
}

/** A fault in words, with what goes with its status. */
export function refused(fault: Fault, status: number): HttpAnswer {
  const headers: Record<string, string> = {};
  if (fault.retryAfterMs !== undefined) headers['retry-after'] = String(Math.ceil(fault.retryAfterMs / 1_000));
  return text(status, `${fault.message}${fault.hint === undefined ? '' : `. ${fault.hint}`}\n`, headers);
}

/** Told where the method is none of the protocol's. */
export function notAllowed(methods: readonly string[]): HttpAnswer {
  return text(405, `Here are answered: ${methods.join(', ')}\n`, { allow: methods.join(', ') });
}
