import { S3ServiceException } from '@aws-sdk/client-s3';
import type { TimeMs } from '../../base/clock.ts';
import { Fault, type FaultCode, type FaultDetail } from '../../base/fault.ts';

/** Why one request did not do what it was to do. */
export class S3Failure extends Error {
  override readonly name = 'S3Failure';
  /** Of the answer; undefined where there was none: then what was asked for may have been done all the same. */
  readonly status: number | undefined;
  /** S3's word for it (`NoSuchKey`), or of the network (`ECONNREFUSED`). */
  readonly code: string;
  /** The server's clock, as the answer told it. */
  readonly serverTime: TimeMs | undefined;
  /** Where the bucket really is, where the answer told. */
  readonly region: string | undefined;

  constructor(
    what: { readonly status?: number | undefined; readonly code: string; readonly text: string },
    detail: { readonly headers?: AnswerHeaders; readonly cause?: unknown } = {},
  ) {
    super(what.text, detail.cause === undefined ? undefined : { cause: detail.cause });
    this.status = what.status;
    this.code = what.code;
    const time = Date.parse(headerOf(detail.headers, 'date') ?? '');
    this.serverTime = Number.isNaN(time) ? undefined : time;
    this.region = headerOf(detail.headers, 'x-amz-bucket-region');
  }
}

type AnswerHeaders = Readonly<Record<string, string | readonly string[] | undefined>>;

function headerOf(headers: AnswerHeaders | undefined, name: string): string | undefined {
  const value = headers?.[name];
  return typeof value === 'string' ? value : undefined;
}

/** What HTTP means where the answer to a HEAD has no word of S3, as it never has. */
const CODES: Readonly<Record<number, string>> = { 403: 'AccessDenied', 404: 'NoSuchKey', 412: 'PreconditionFailed', 416: 'InvalidRange' };

/**
 * Of an answer over plain HTTP: its error document, which may be absent or no document at all. Then it may come from something in front
 * of the endpoint, which does not know what is in the bucket: a status alone is no word on that.
 */
export function failureOfAnswer(status: number, headers: AnswerHeaders, body: string): S3Failure {
  const code = tagIn(body, 'Code') ?? `status ${status}`;
  const region = tagIn(body, 'Region');
  const told = region === undefined ? headers : { ...headers, 'x-amz-bucket-region': region };
  return new S3Failure({ status, code, text: tagIn(body, 'Message') ?? `it answered with status ${status}` }, { headers: told });
}

function tagIn(xml: string, name: string): string | undefined {
  return new RegExp(`<${name}>([^<]{1,500})</${name}>`).exec(xml)?.[1];
}

/** Of an error that the SDK or the network threw. */
export function failureOfError(error: unknown): S3Failure {
  if (error instanceof S3Failure) return error;
  if (error instanceof S3ServiceException) {
    const status = error.$metadata.httpStatusCode;
    // A HEAD has no body, so the SDK has only its status to go by.
    const code =
      status !== undefined && CODES[status] !== undefined && /^(Unknown|UnknownError|NotFound)$/.test(error.name)
        ? CODES[status]
        : error.name;
    const text = /^(UnknownError|Unknown)?$/.test(error.message) ? `it answered with status ${status}` : error.message;
    const headers = error.$response?.headers;
    return new S3Failure({ status, code, text }, { ...(headers === undefined ? {} : { headers }), cause: error });
  }
  if (!(error instanceof Error)) return new S3Failure({ code: 'unknown', text: String(error) });
  if (error.name === 'TimeoutError') return new S3Failure({ code: 'timeout', text: 'it did not answer in time' }, { cause: error });
  // Where several addresses were tried, the error is made of theirs.
  const first = error instanceof AggregateError ? error.errors.find((one) => one instanceof Error) : undefined;
  const known: Error = first ?? error;
  const code = 'code' in known && typeof known.code === 'string' ? known.code : known.name;
  return new S3Failure({ code, text: known.message === '' ? code : known.message }, { cause: error });
}

const CREDENTIALS = /^(ExpiredToken|ExpiredTokenException|TokenRefreshRequired|InvalidToken)$/;
const SKEWED = /^(RequestTimeTooSkewed|RequestExpired|RequestInTheFuture)$/;
const PASSING: ReadonlySet<string> = new Set([
  ...['SlowDown', 'RequestTimeout', 'RequestTimeoutException', 'InternalError', 'ServiceUnavailable', 'ThrottlingException', 'Throttling'],
  ...['TooManyRequests', 'RequestLimitExceeded', 'BandwidthLimitExceeded', 'ConditionalRequestConflict', 'OperationAborted'],
  // What was damaged on its way.
  ...['BadDigest', 'IncompleteBody', 'XAmzContentSHA256Mismatch'],
]);
const FULL = /^(QuotaExceeded|ServiceQuotaExceeded|XMinioStorageFull|XMinioAdminBucketQuotaExceeded|InsufficientCapacity|NotEnoughSpace)$/;
/** No connection can be made that is trusted; the next try will not make one either. */
const TLS: ReadonlySet<string> = new Set([
  ...['DEPTH_ZERO_SELF_SIGNED_CERT', 'SELF_SIGNED_CERT_IN_CHAIN', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'UNABLE_TO_GET_ISSUER_CERT'],
  ...['UNABLE_TO_GET_ISSUER_CERT_LOCALLY', 'CERT_HAS_EXPIRED', 'ERR_TLS_CERT_ALTNAME_INVALID', 'EPROTO', 'ERR_SSL_WRONG_VERSION_NUMBER'],
]);
/** Clocks that differ by less are none's reason to refuse. */
const SKEW_MS_MIN = 4 * 60_000;

/** What to do about a failure. `skewed` and `credentials`: try at once, with the server's time or new credentials. */
export type Verdict = 'retry' | 'skewed' | 'credentials' | 'final';

/** `now` is the time that the request was signed with. */
export function verdictOf(failure: S3Failure, now: TimeMs): Verdict {
  const { status, code, serverTime } = failure;
  // The answer to a HEAD has no word for it: a bad request that we make is one with credentials of the past.
  if (CREDENTIALS.test(code) || code === 'status 400') return 'credentials';
  const isOff = serverTime !== undefined && Math.abs(serverTime - now) > SKEW_MS_MIN;
  if (SKEWED.test(code) || (status === 403 && isOff)) return isOff ? 'skewed' : 'final';
  if (PASSING.has(code)) return 'retry';
  if (FULL.test(code) || TLS.has(code) || code === 'CredentialsProviderError') return 'final';
  if (status === undefined) return 'retry';
  return status === 429 || (status >= 500 && status !== 501 && status !== 507) ? 'retry' : 'final';
}

/** Whether it is open whether the request took effect. */
export function isInDoubt({ status }: S3Failure): boolean {
  return status === undefined || status >= 500;
}

/** Whether only another configuration can help; what and how, for people. */
export function configProblem({ status, code, message, region }: S3Failure, configuredRegion: string): string | undefined {
  if (code === 'NoSuchBucket') return '--s3-bucket: there is no such bucket; make it, or name another';
  if (code === 'InvalidBucketName') return '--s3-bucket: the endpoint takes this for no name of a bucket';
  if (code === 'InvalidAccessKeyId') return '--s3-access-key-id: the endpoint does not know this key';
  if (code === 'SignatureDoesNotMatch') return 'SWITCHYARD_CACHE_S3_SECRET_ACCESS_KEY: the secret does not belong to the key';
  if (code === 'CredentialsProviderError') {
    const looked = "in AWS's variables and files, nor by the identity of the pod or machine";
    return `--s3-access-key-id is not given, and no credentials were found ${looked} (${message})`;
  }
  if (CREDENTIALS.test(code)) return 'SWITCHYARD_CACHE_S3_SESSION_TOKEN: the endpoint does not take the session token (any more)';
  if (
    (region !== undefined && region !== configuredRegion && status !== 403) ||
    code === 'AuthorizationHeaderMalformed' ||
    code === 'PermanentRedirect'
  ) {
    return `--s3-region: the bucket is not in ${configuredRegion}${region === undefined ? '' : ` but in ${region}`}`;
  }
  if (TLS.has(code)) return `--s3-endpoint or --s3-ca-file: no trusted connection can be made (${code}: ${message})`;
  if (SKEWED.test(code)) return `The clock of this host is wrong, says the endpoint: set it (${message})`;
  if (status === 403) return `The credentials may not do this: give them list, get, put and delete on the bucket (${code})`;
  if (status !== undefined && status >= 300 && status < 500 && status !== 429 && status !== 409) {
    return `--s3-endpoint: it does not answer as S3 does (${code}: ${message})`;
  }
  return undefined;
}

/** The failure as those see it who asked. `doing`: what was asked for, such as `Object p/x cannot be read`. */
export function faultOf(failure: S3Failure, doing: string): Fault {
  const { status, code, message } = failure;
  const told = status === undefined ? code : code === `status ${status}` ? code : `${code}, status ${status}`;
  const as = (fault: FaultCode, detail: FaultDetail = {}) =>
    new Fault(fault, `${doing}: ${message} (${told})`, { ...detail, cause: failure });
  if (code === 'NoSuchKey') return as('OBJECT_UNKNOWN');
  if (code === 'PreconditionFailed') return as('OBJECT_EXISTS');
  if (code === 'InvalidRange') return as('OUT_OF_RANGE');
  if (status === 507 || FULL.test(code)) return as('STORE_FULL', { hint: 'Make room in the bucket, or raise its quota.' });
  return as('STORE_UNAVAILABLE');
}
