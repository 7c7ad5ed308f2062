import { CopyObjectCommand, DeleteObjectCommand, HeadObjectCommand, ListObjectsV2Command } from '@aws-sdk/client-s3';
import { hash, randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { backoffMs } from '../../base/backoff.ts';
import type { Breaker } from '../../base/breaker.ts';
import type { TimeMs } from '../../base/clock.ts';
import type { Env } from '../../base/env.ts';
import { Fault, isFault } from '../../base/fault.ts';
import { prngFrom, type Prng } from '../../base/prng.ts';
import { lengthOf } from './object-body.ts';
import { checkObjectKey, checkRange } from './object-key.ts';
import type { ObjectInfo, ObjectStore, ObjectTraits } from './object-store.ts';
import { S3Failure, faultOf } from './s3-failure.ts';
import { S3Http } from './s3-http.ts';
import { abortUploads, putInParts } from './s3-multipart.ts';
import type { S3Config } from './s3-options.ts';
import { probe } from './s3-probe.ts';
import { S3_TUNING, S3Session, type S3Counts, type S3Tuning } from './s3-session.ts';
import { encodePath } from './sigv4.ts';

export type S3ObjectsOptions = {
  readonly config: S3Config;
  readonly env: Env;
  /** What to do where the endpoint cannot be reached: throw, or open all the same, without conditions until it was. @default throw */
  readonly whenAway?: 'throw' | 'open';
  readonly tuning?: Partial<S3Tuning>;
  /** Stands before every request. @default none: each is tried for itself */
  readonly guard?: Breaker;
  /** For the jitter of pauses. */
  readonly prng?: Prng;
};

/** A bucket of an S3-compatible endpoint. */
export interface S3Objects extends ObjectStore {
  /** What went over the network so far. */
  readonly counts: Readonly<S3Counts>;
}

const DAY_MS = 86_400_000;
/** Between looks at an endpoint that was away when its bucket was opened. */
const LOOK_AGAIN = { initialMs: 1_000, maxMs: 30_000 };

/**
 * Opens a bucket that is there. What the endpoint can do is found out by doing it.
 * @throws {Fault} CONFIG_INVALID naming the option that is wrong and the fix; STORE_UNAVAILABLE (see `whenAway`); CANCELLED
 */
export async function openS3Objects(options: S3ObjectsOptions, signal: AbortSignal): Promise<S3Objects> {
  const { config, env, whenAway = 'throw', prng = prngFrom(randomInt(2 ** 47)) } = options;
  const session = await S3Session.open(config, { ...S3_TUNING, ...options.tuning }, env, prng, options.guard);
  const http = new S3Http(session);
  const store = new Bucket(session, http, env);
  // Who may open without it does not wait for all the tries that an endpoint without an answer takes.
  const within = whenAway === 'open' ? AbortSignal.any([signal, AbortSignal.timeout(session.tuning.awayMs)]) : signal;
  try {
    await store.probe(within);
  } catch (error) {
    const isAway = isFault(error, 'STORE_UNAVAILABLE') || (isFault(error, 'CANCELLED') && !signal.aborted);
    if (whenAway === 'throw' || !isAway) {
      await store[Symbol.asyncDispose]();
      throw error;
    }
    env.log.warn('s3-away', { endpoint: session.origin, bucket: config.bucket, error });
    store.probeLater(prng);
  }
  return store;
}

class Bucket implements S3Objects {
  readonly #session: S3Session;
  readonly #http: S3Http;
  readonly #env: Env;
  readonly #closing = new AbortController();
  #traits: ObjectTraits = { conditionalPut: false, presigned: true, shared: true };
  #probing: Promise<void> = Promise.resolve();

  constructor(session: S3Session, http: S3Http, env: Env) {
    this.#session = session;
    this.#http = http;
    this.#env = env;
  }

  get traits(): ObjectTraits {
    return this.#traits;
  }

  get counts(): Readonly<S3Counts> {
    return this.#session.counts;
  }

  async probe(signal: AbortSignal): Promise<void> {
    const probed = await probe(this.#session, this.#http, signal);
    this.#traits = { ...this.#traits, ...probed };
    const { origin, config } = this.#session;
    this.#env.log.info('s3-opened', { endpoint: origin, bucket: config.bucket, prefix: config.prefix, ...probed });
  }

  /** Looks again until the endpoint answers, or the store is closed. A wrong configuration is logged, and ends it. */
  probeLater(prng: Prng): void {
    const { signal } = this.#closing;
    const look = async (): Promise<void> => {
      for (let times = 0; !signal.aborted; times += 1) {
        await sleep(500 + backoffMs(LOOK_AGAIN, times, prng), undefined, { signal, ref: false });
        try {
          return await this.probe(signal);
        } catch (error) {
          if (!isFault(error, 'STORE_UNAVAILABLE')) return signal.aborted ? undefined : this.#env.log.error('s3-unusable', { error });
        }
      }
    };
    this.#probing = look().catch(() => undefined); // only the pause rejects, when the store is closed
  }

  async put(
    key: string,
    body: Parameters<ObjectStore['put']>[1],
    { ifAbsent }: { readonly ifAbsent: boolean },
    signal: AbortSignal,
  ): Promise<void> {
    checkObjectKey(key);
    const session = this.#session;
    const doing = `Object ${key} cannot be put`;
    const { conditionalPut } = this.#traits;
    // Where there are no conditions this look is all there is; for many parts it spares sending them in vain.
    const inParts = lengthOf(body) > session.tuning.multipartBytes;
    if (ifAbsent && (!conditionalPut || inParts) && (await this.head(key, signal)) !== undefined) {
      throw new Fault('OBJECT_EXISTS', `Object ${key} is there already`);
    }
    if (inParts) {
      const upload = { session, http: this.#http, log: this.#env.log, key, doing };
      return await putInParts(upload, body, { ifAbsent, conditionalPut }, signal);
    }
    const checked = session.config.checksums === 'WHEN_SUPPORTED' && body instanceof Uint8Array;
    const headers = {
      ...(ifAbsent && conditionalPut ? { 'if-none-match': '*' } : {}),
      ...(checked ? { 'x-amz-checksum-sha256': hash('sha256', body, 'base64') } : {}),
    };
    await session.run(doing, () => this.#http.put(key, body, { headers }, signal), signal);
  }

  async *get(key: string, range: Parameters<ObjectStore['get']>[1], signal: AbortSignal): AsyncGenerator<Uint8Array, void, undefined> {
    checkObjectKey(key);
    checkRange(key, range);
    if (range?.length === 0) return await this.#checkOffset(key, range.offset, signal);
    try {
      yield* this.#http.get(key, range, signal);
    } catch (error) {
      // S3 takes the end of an object for out of its range; to us it is a place where no bytes are.
      if (range === undefined || !isFault(error, 'OUT_OF_RANGE')) throw error;
      await this.#checkOffset(key, range.offset, signal);
    }
  }

  async #checkOffset(key: string, offset: number, signal: AbortSignal): Promise<void> {
    const info = await this.head(key, signal);
    if (info === undefined) throw new Fault('OBJECT_UNKNOWN', `Object ${key} is not in the bucket`);
    if (offset > info.sizeBytes) throw new Fault('OUT_OF_RANGE', `Object ${key} has ${info.sizeBytes} bytes: there is no offset ${offset}`);
  }

  async head(key: string, signal: AbortSignal): Promise<ObjectInfo | undefined> {
    checkObjectKey(key);
    const doing = `Object ${key} cannot be looked at`;
    const command = new HeadObjectCommand(this.#place(key));
    const ask = () => this.#session.send((client, abortSignal) => client.send(command, { abortSignal }), signal);
    try {
      const { ContentLength, LastModified } = await this.#session.attempt(doing, ask, signal);
      return { key, sizeBytes: ContentLength ?? 0, modifiedAt: LastModified?.getTime() ?? 0 };
    } catch (error) {
      if (!(error instanceof S3Failure)) throw error;
      if (error.code === 'NoSuchKey') return undefined;
      throw faultOf(error, doing);
    }
  }

  async *list(prefix: string, { after }: { readonly after?: string }, signal: AbortSignal): AsyncGenerator<ObjectInfo, void, undefined> {
    const { config, tuning } = this.#session;
    const start = after === undefined ? {} : { StartAfter: this.#session.nameOf(after) };
    const common = { Bucket: config.bucket, Prefix: this.#session.nameOf(prefix), MaxKeys: tuning.pageSize };
    let token: string | undefined;
    do {
      const command = new ListObjectsV2Command({ ...common, ...(token === undefined ? start : { ContinuationToken: token }) });
      const ask = () => this.#session.send((client, abortSignal) => client.send(command, { abortSignal }), signal);
      const page = await this.#session.run(`Objects below "${prefix}" cannot be listed`, ask, signal);
      for (const { Key = '', Size = 0, LastModified } of page.Contents ?? []) {
        yield { key: Key.slice(config.prefix.length), sizeBytes: Size, modifiedAt: LastModified?.getTime() ?? 0 };
      }
      token = page.IsTruncated === true ? page.NextContinuationToken : undefined;
    } while (token !== undefined);
  }

  async copy(from: string, to: string, signal: AbortSignal): Promise<void> {
    checkObjectKey(from);
    const source = encodePath(`${this.#session.config.bucket}/${this.#session.nameOf(from)}`);
    const command = new CopyObjectCommand({ ...this.#place(checkObjectKey(to)), CopySource: source });
    const ask = () => this.#session.send((client, abortSignal) => client.send(command, { abortSignal }), signal);
    await this.#session.run(`Object ${from} cannot be copied to ${to}`, ask, signal);
  }

  async delete(key: string, signal: AbortSignal): Promise<void> {
    checkObjectKey(key);
    const doing = `Object ${key} cannot be deleted`;
    const command = new DeleteObjectCommand(this.#place(key));
    const ask = () => this.#session.send((client, abortSignal) => client.send(command, { abortSignal }), signal);
    try {
      await this.#session.attempt(doing, ask, signal);
    } catch (error) {
      if (!(error instanceof S3Failure)) throw error;
      if (error.code !== 'NoSuchKey') throw faultOf(error, doing);
    }
  }

  abortUploads(prefix: string, before: TimeMs, signal: AbortSignal): Promise<number> {
    return abortUploads({ session: this.#session, log: this.#env.log }, prefix, before, signal);
  }

  presignGet(key: string, ttlMs: number): string {
    return `${this.#session.origin}${this.#session.presign('GET', checkObjectKey(key), checkTtl(ttlMs))}`;
  }

  presignPut(key: string, content: { readonly lengthBytes: number; readonly sha256Hex: string }, ttlMs: number) {
    const headers = {
      'content-length': String(content.lengthBytes),
      // Used once: whoever has the URL cannot change what was looked at meanwhile.
      ...(this.#traits.conditionalPut ? { 'if-none-match': '*' } : {}),
      'x-amz-checksum-sha256': Buffer.from(content.sha256Hex, 'hex').toString('base64'),
    };
    const path = this.#session.presign('PUT', checkObjectKey(key), checkTtl(ttlMs), { headers });
    return { url: `${this.#session.origin}${path}`, headers };
  }

  #place(key: string) {
    return { Bucket: this.#session.config.bucket, Key: this.#session.nameOf(key) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    await this.#probing;
    this.#session.close();
    await this.#http.close();
  }
}

function checkTtl(ttlMs: number): number {
  if (ttlMs >= 1_000 && ttlMs <= 7 * DAY_MS) return ttlMs;
  throw new Fault('BAD_REQUEST', `A URL cannot live for ${ttlMs} ms: S3 takes 1 s to 7 days`, { field: 'ttlMs' });
}
