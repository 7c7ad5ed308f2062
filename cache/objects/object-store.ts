import type { TimeMs } from '../../base/clock.ts';
import type { ByteRange } from '../blob-store.ts';

/** What one endpoint can do and another cannot; probed, not believed, where it can be. */
export type ObjectTraits = {
  /** Whether `ifAbsent` is atomic among writers. Where it is not, names that are never reused must do. */
  readonly conditionalPut: boolean;
  /** Whether URLs can be handed out that work without credentials. */
  readonly presigned: boolean;
  readonly shared: boolean;
};

/** A source that can be read again from its start, so that a put can be tried again. */
export type ObjectBody = Uint8Array | { readonly lengthBytes: number; readonly open: () => AsyncIterable<Uint8Array> };

export type ObjectInfo = { readonly key: string; readonly sizeBytes: number; readonly modifiedAt: TimeMs };

/**
 * Named objects in a bucket, as S3 has them. Every implementation passes `test/contract/object-store.ts`. Keys are 1 to 512
 * characters of `A-Za-z0-9._-` in segments between slashes. Nobody but the store's own processes writes here, but bytes that
 * come back may be damaged, short or another's all the same: whoever reads checks.
 */
export interface ObjectStore extends AsyncDisposable {
  readonly traits: ObjectTraits;

  /**
   * Makes the object, whole or not at all, and returns once it is durable.
   * @throws {Fault} OBJECT_EXISTS where `ifAbsent` is asked for and something is there (also where an earlier try of the same
   * put may have succeeded: look); STORE_FULL, STORE_UNAVAILABLE, CANCELLED; whatever the body throws.
   */
  put(key: string, body: ObjectBody, options: { readonly ifAbsent: boolean }, signal: AbortSignal): Promise<void>;

  /**
   * The bytes, from one request; never more or fewer than the object (or the range) has: a short answer throws.
   * @throws {Fault} OBJECT_UNKNOWN, OUT_OF_RANGE, STORE_UNAVAILABLE, CANCELLED
   */
  get(key: string, range: ByteRange | undefined, signal: AbortSignal): AsyncIterable<Uint8Array>;

  /** Size and time, or undefined where there is none. @throws {Fault} STORE_UNAVAILABLE */
  head(key: string, signal: AbortSignal): Promise<ObjectInfo | undefined>;

  /**
   * All objects below a prefix, in the order of their keys' bytes; `after` leaves out those up to and with that key.
   * @throws {Fault} STORE_UNAVAILABLE, CANCELLED
   */
  list(prefix: string, options: { readonly after?: string }, signal: AbortSignal): AsyncIterable<ObjectInfo>;

  /**
   * Makes `to` an object of the same bytes as `from`, which do not come here. What was there before is replaced.
   * @throws {Fault} OBJECT_UNKNOWN, STORE_UNAVAILABLE, CANCELLED
   */
  copy(from: string, to: string, signal: AbortSignal): Promise<void>;

  /** Removes the object; none there is no error. @throws {Fault} STORE_UNAVAILABLE */
  delete(key: string, signal: AbortSignal): Promise<void>;

  /**
   * Throws away uploads in parts of keys below a prefix that were begun before that time and never ended: what a killed writer left.
   * How many; 0 where the endpoint has none, or does not tell. @throws {Fault} STORE_UNAVAILABLE, CANCELLED
   */
  abortUploads(prefix: string, before: TimeMs, signal: AbortSignal): Promise<number>;

  /**
   * A URL that reads this object for at most `ttlMs` (whole seconds, 1 s to 7 days); nothing else can be done with it.
   * @throws {Fault} UNIMPLEMENTED where `traits.presigned` is false
   */
  presignGet(key: string, ttlMs: number): string;

  /**
   * A URL that puts exactly these bytes under this key: the length and the SHA-256 are signed headers, which come with the answer.
   * Whether the endpoint compares the bytes with the checksum differs: whoever makes the object visible reads and hashes it first.
   * @throws {Fault} UNIMPLEMENTED where `traits.presigned` is false
   */
  presignPut(
    key: string,
    content: { readonly lengthBytes: number; readonly sha256Hex: string },
    ttlMs: number,
  ): { readonly url: string; readonly headers: Readonly<Record<string, string>> };
}
