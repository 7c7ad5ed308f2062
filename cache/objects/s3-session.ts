import { S3Client } from '@aws-sdk/client-s3';
import { setTimeout as sleep } from 'node:timers/promises';
import { backoffMs, type BackoffPolicy } from '../../base/backoff.ts';
import type { Breaker } from '../../base/breaker.ts';
import { systemClock, type TimeMs } from '../../base/clock.ts';
import type { Env } from '../../base/env.ts';
import { Fault } from '../../base/fault.ts';
import type { Logger } from '../../base/log.ts';
import type { Prng } from '../../base/prng.ts';
import { S3Failure, failureOfError, faultOf, isInDoubt, verdictOf } from './s3-failure.ts';
import type { S3Config } from './s3-options.ts';
import { Presigner, encodePath, type SigningKeys } from './sigv4.ts';

/** Times and sizes of the work with a bucket. Tests have shorter ones. */
export type S3Tuning = {
  /** Longest time to connect, for the beginning of an answer, and without a byte in the middle of one. */
  readonly connectMs: number;
  readonly answerMs: number;
  readonly stallMs: number;
  /** How long a bucket that may be opened without its endpoint is waited for. */
  readonly awayMs: number;
  /** Requests that are made for one call before it fails, and the pauses between them. */
  readonly tries: number;
  readonly backoff: BackoffPolicy;
  /** Larger objects are put in parts of at least `partBytes`, so many at once. */
  readonly multipartBytes: number;
  readonly partBytes: number;
  readonly partsAtOnce: number;
  /** Objects in a page of a list. */
  readonly pageSize: number;
};

export const S3_TUNING: S3Tuning = {
  connectMs: 3_000,
  answerMs: 20_000,
  stallMs: 20_000,
  awayMs: 10_000,
  tries: 5,
  backoff: { initialMs: 100, maxMs: 3_000 },
  multipartBytes: 64 * 1024 * 1024,
  partBytes: 16 * 1024 * 1024,
  partsAtOnce: 4,
  pageSize: 1_000,
};

/** What went over the network, since the start. */
export type S3Counts = { requests: number; retries: number; sentBytes: number; receivedBytes: number };

/** An error of the body that was to be put: ours to hand on as it is, nobody's to try again. */
export class BodyError extends Error {
  override readonly name = 'BodyError';
}

/** Credentials are asked for anew so long before they expire. */
const REFRESH_AHEAD_MS = 5 * 60_000;
const TIMER_MS_MAX = 2_147_483_647;

/**
 * The way to one bucket: where it is, who we are there, what time it is there, and how a call is tried again. Keeps credentials that
 * expire fresh, so that URLs can be signed at any time.
 */
export class S3Session {
  readonly config: S3Config;
  readonly tuning: S3Tuning;
  readonly client: S3Client;
  readonly counts: S3Counts = { requests: 0, retries: 0, sentBytes: 0, receivedBytes: 0 };
  /** Scheme, host and port; and the path of the bucket, encoded, without a slash at its end. */
  readonly origin: string;
  readonly #host: string;
  readonly #basePath: string;
  readonly #presigner: Presigner;
  readonly #env: Env;
  readonly #prng: Prng;
  /** What the server's clock is ahead of ours, where that has mattered. */
  #skewMs = 0;
  #keys: SigningKeys | undefined;
  #refresh: NodeJS.Timeout | undefined;
  #isClosed = false;
  readonly #guard: Breaker | undefined;

  private constructor(parts: SessionParts & { client: S3Client; base: URL }) {
    this.config = parts.config;
    this.tuning = parts.tuning;
    this.client = parts.client;
    this.origin = parts.base.origin;
    this.#host = parts.base.host;
    this.#basePath = parts.base.pathname.replace(/\/$/, '');
    this.#presigner = new Presigner(parts.config.region);
    this.#env = parts.env;
    this.#prng = parts.prng;
    this.#guard = parts.guard;
  }

  /**
   * Makes no request, but for credentials that a service gives out. `guard` stands before every request.
   * @throws {Fault} CONFIG_INVALID, STORE_UNAVAILABLE
   */
  static async open(config: S3Config, tuning: S3Tuning, env: Env, prng: Prng, guard?: Breaker): Promise<S3Session> {
    const { credentials, ca, endpoint } = config;
    const agent = { keepAlive: true, maxSockets: config.connectionsMax };
    const client = new S3Client({
      region: config.region,
      forcePathStyle: config.pathStyle,
      ...(endpoint === undefined ? { ignoreConfiguredEndpointUrls: true } : { endpoint }),
      ...(credentials.kind === 'chain' ? {} : { credentials: identityOf(credentials) }),
      requestChecksumCalculation: config.checksums,
      responseChecksumValidation: config.checksums,
      maxAttempts: 1, // `run` below tries again, by one rule for what goes through the SDK and what does not
      requestHandler: {
        connectionTimeout: tuning.connectMs,
        logger: sdkLogger(env.log),
        httpAgent: agent,
        httpsAgent: { ...agent, ...(ca === undefined ? {} : { ca }) },
      },
    });
    const base = client.config.endpointProvider({
      Bucket: config.bucket,
      Region: config.region,
      ForcePathStyle: config.pathStyle,
      UseFIPS: await client.config.useFipsEndpoint(),
      UseDualStack: await client.config.useDualstackEndpoint(),
      ...(endpoint === undefined ? {} : { Endpoint: endpoint }),
    }).url;
    return new S3Session({ config, tuning, client, base, env, prng, guard });
  }

  /** The name of an object in the bucket. */
  nameOf(key: string): string {
    return `${this.config.prefix}${key}`;
  }

  /** The time at the server, as far as we know it. */
  now(): TimeMs {
    return this.#env.clock.now() + this.#skewMs;
  }

  /** Path and query of a request for an object, signed with the newest credentials that are known. */
  presign(
    method: 'GET' | 'PUT',
    key: string,
    ttlMs: number,
    more: { readonly headers?: Readonly<Record<string, string>>; readonly query?: readonly (readonly [string, string])[] } = {},
  ): string {
    const keys = this.#keys;
    if (keys === undefined) throw new Fault('STORE_UNAVAILABLE', `Object ${key}: there are no credentials for the bucket yet`);
    const path = `${this.#basePath}/${encodePath(this.nameOf(key))}`;
    return this.#presigner.presign({ method, path, host: this.#host, ...more }, keys, this.now(), Math.floor(ttlMs / 1_000));
  }

  /**
   * Makes a call: `attempt` is one request, which is made again where that may help, after a pause. Time that is spent in it is
   * bounded by `attempt` itself. @throws {Fault} of the last failure (see `faultOf`); CANCELLED; what a body threw
   */
  async run<T>(doing: string, attempt: () => Promise<T>, signal: AbortSignal): Promise<T> {
    try {
      return await this.attempt(doing, attempt, signal);
    } catch (error) {
      throw error instanceof S3Failure ? faultOf(error, doing) : error;
    }
  }

  /** As `run`, for callers who look at the failure. @throws {S3Failure}; {Fault} CANCELLED; what a body threw */
  async attempt<T>(doing: string, attempt: () => Promise<T>, signal: AbortSignal): Promise<T> {
    let fixes = 0;
    for (let tries = 1; ; tries += 1) {
      if (signal.aborted) throw cancelled(doing, signal);
      const end = this.#guard?.begin() ?? UNGUARDED;
      try {
        await this.#freshKeys(false);
        this.counts.requests += 1;
        const value = await attempt();
        end();
        return value;
      } catch (error) {
        end(signal.aborted ? cancelled(doing, signal) : guiltOf(error));
        if (error instanceof BodyError) throw error.cause;
        if (error instanceof Fault) throw error;
        if (signal.aborted) throw cancelled(doing, signal);
        const failure = failureOfError(error);
        const verdict = verdictOf(failure, this.now());
        const canFix = fixes < 2 && (verdict === 'skewed' || verdict === 'credentials');
        if (verdict === 'final' || tries >= this.tuning.tries || (verdict !== 'retry' && !canFix)) throw failure;
        this.counts.retries += 1;
        if (canFix) fixes += 1;
        if (verdict === 'skewed') this.#learnTime(failure);
        else if (verdict === 'credentials') await this.#freshKeys(true);
        else await sleep(backoffMs(this.tuning.backoff, tries - 1, this.#prng), undefined, { signal }).catch(() => undefined);
      }
    }
  }

  /** What the SDK is to send, with a deadline for its whole answer. */
  async send<T>(ask: (client: S3Client, abortSignal: AbortSignal) => Promise<T>, signal: AbortSignal): Promise<T> {
    const late = AbortSignal.timeout(this.tuning.answerMs);
    // The SDK takes the system's time: what the server's is ahead of that.
    this.client.config.systemClockOffset = this.now() - systemClock.now();
    try {
      return await ask(this.client, AbortSignal.any([signal, late]));
    } catch (error) {
      throw late.aborted && !signal.aborted ? late.reason : error;
    }
  }

  #learnTime({ serverTime }: S3Failure): void {
    if (serverTime === undefined) return;
    this.#skewMs = serverTime - this.#env.clock.now();
    this.#env.log.warn('s3-clock-differs', { endpoint: this.origin, aheadMs: this.#skewMs });
  }

  /** Takes over the newest credentials. The SDK keeps them, and asks anew for those that are about to expire. */
  async #freshKeys(force: boolean): Promise<void> {
    const { credentials } = this.config;
    if (credentials.kind === 'static') {
      this.#keys ??= { ...identityOf(credentials), sessionToken: credentials.sessionToken?.reveal() };
      return;
    }
    const { accessKeyId, secretAccessKey, sessionToken, expiration } = await this.client.config.credentials({ forceRefresh: force });
    if (accessKeyId === this.#keys?.accessKeyId && sessionToken === this.#keys.sessionToken) return;
    this.#keys = { accessKeyId, secretAccessKey, sessionToken };
    clearTimeout(this.#refresh);
    if (expiration === undefined || this.#isClosed) return;
    const inMs = expiration.getTime() - this.#env.clock.now() - REFRESH_AHEAD_MS;
    const again = () => void this.#freshKeys(true).catch((error: unknown) => this.#env.log.warn('s3-credentials-stale', { error }));
    this.#refresh = setTimeout(again, Math.min(Math.max(inMs, 1_000), TIMER_MS_MAX)).unref();
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#refresh);
    this.client.destroy();
  }
}

const UNGUARDED = () => {};

type SessionParts = { config: S3Config; tuning: S3Tuning; env: Env; prng: Prng; guard: Breaker | undefined };

/** What a breaker is to think of a request: no answer, or one that says that the server cannot, is its fault; a refusal is an answer. */
function guiltOf(error: unknown): unknown {
  if (error instanceof BodyError || error instanceof Fault) return error;
  const failure = failureOfError(error);
  const isDown = isInDoubt(failure) && failure.code !== 'SlowDown' && failure.code !== 'CredentialsProviderError';
  return isDown ? faultOf(failure, 'The bucket does not answer') : undefined;
}

/** The fault of a call that its caller gave up. */
export function cancelled(doing: string, signal: AbortSignal): Fault {
  return new Fault('CANCELLED', `${doing}: the caller gave up`, { cause: signal.reason });
}

/** What the SDK would print: mostly that requests wait for a connection. */
function sdkLogger(log: Logger) {
  const quiet = () => undefined;
  return {
    trace: quiet,
    debug: quiet,
    info: quiet,
    warn: (text: unknown) => log.debug('s3-sdk', { text }),
    error: (text: unknown) => log.warn('s3-sdk', { text }),
  };
}

function identityOf(credentials: Extract<S3Config['credentials'], { kind: 'static' }>) {
  const { accessKeyId, secretAccessKey, sessionToken } = credentials;
  return {
    accessKeyId,
    secretAccessKey: secretAccessKey.reveal(),
    ...(sessionToken === undefined ? {} : { sessionToken: sessionToken.reveal() }),
  };
}
