import { createHmac, hash } from 'node:crypto';
import type { TimeMs } from '../../base/clock.ts';

/** Whose keys sign. `sessionToken` comes with keys that expire. */
export type SigningKeys = {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken: string | undefined;
};

/** A request as AWS Signature Version 4 sees it. */
export type SignedRequest = {
  readonly method: string;
  /** As it is in the request line, without the query, encoded (`encodePath`). */
  readonly path: string;
  /** Names and values, not encoded, in any order. */
  readonly query: readonly (readonly [name: string, value: string])[];
  /** Names in lower case, in order; all of them are signed. `host` must be there. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** Hex SHA-256 of the body, or `UNSIGNED-PAYLOAD`. */
  readonly payloadHash: string;
};

/** What a signature is for: keys of one day, region and service. */
export type SigningScope = { readonly amzDate: string; readonly region: string; readonly service: string };

const ALGORITHM = 'AWS4-HMAC-SHA256';
const UNSIGNED_PAYLOAD = 'UNSIGNED-PAYLOAD';

/** The hex signature of a request. `keyOf` says the signing key of the scope. */
export function signatureOf(request: SignedRequest, scope: SigningScope, signingKey: Uint8Array): string {
  return sign(canonicalRequest(request), scope, signingKey);
}

function sign(canonical: string, scope: SigningScope, signingKey: Uint8Array): string {
  const toSign = `${ALGORITHM}\n${scope.amzDate}\n${scopeText(scope)}\n${hash('sha256', canonical, 'hex')}`;
  return createHmac('sha256', signingKey).update(toSign).digest('hex');
}

/** The text of a request that is signed. */
export function canonicalRequest({ query, ...rest }: SignedRequest): string {
  return canonicalText(rest, canonicalQuery(query));
}

function canonicalText({ method, path, headers, payloadHash }: Omit<SignedRequest, 'query'>, query: string): string {
  let lines = '';
  for (const [name, value] of headers) lines += `${name}:${value.trim().replaceAll(/ +/g, ' ')}\n`;
  return `${method}\n${path}\n${query}\n${lines}\n${namesOf(headers)}\n${payloadHash}`;
}

/** The key that signs within a scope; derived in four steps, so worth keeping for its day. */
export function signingKeyOf(secretAccessKey: string, { amzDate, region, service }: SigningScope): Uint8Array {
  const step = (key: string | Uint8Array, text: string) => createHmac('sha256', key).update(text).digest();
  return step(step(step(step(`AWS4${secretAccessKey}`, amzDate.slice(0, 8)), region), service), 'aws4_request');
}

/** `20150830/us-east-1/s3/aws4_request` */
export function scopeText({ amzDate, region, service }: SigningScope): string {
  return `${amzDate.slice(0, 8)}/${region}/${service}/aws4_request`;
}

/** `20150830T123600Z` */
export function amzDateOf(at: TimeMs): string {
  return new Date(at).toISOString().replaceAll(/[-:]|\.\d{3}/g, '');
}

/** RFC 3986 as AWS reads it: all but unreserved characters, in upper-case hex. */
export function encodePart(text: string): string {
  return encodeURIComponent(text).replaceAll(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
}

/** A path whose slashes stay. */
export function encodePath(path: string): string {
  return PLAIN_PATH.test(path) ? path : path.split('/').map(encodePart).join('/');
}

const PLAIN_PATH = /^[A-Za-z0-9._~/-]*$/;

export type PresignRequest = Pick<SignedRequest, 'method' | 'path'> & {
  /** Host and port, as the header `host` has them. */
  readonly host: string;
  /** More parameters, such as `partNumber`. */
  readonly query?: readonly (readonly [name: string, value: string])[];
  /** More headers, names in lower case, that whoever uses the URL must send with exactly these values. */
  readonly headers?: Readonly<Record<string, string>>;
};

/**
 * Makes URLs that carry a signature in their query. Keeps the signing key and the texts of the newest day and second, so that one
 * costs three hashes.
 */
export class Presigner {
  readonly #region: string;
  readonly #service: string;
  #second = { at: -1, amzDate: '' };
  #day = { secret: '', date: '', key: new Uint8Array(0) };

  constructor(region: string, service = 's3') {
    this.#region = region;
    this.#service = service;
  }

  /** Path and query. `ttlSeconds` is how long it can be used, from `at` on. */
  presign(request: PresignRequest, keys: SigningKeys, at: TimeMs, ttlSeconds: number): string {
    const scope: SigningScope = { amzDate: this.#amzDate(at), region: this.#region, service: this.#service };
    const headers = [...Object.entries(request.headers ?? {}), ['host', request.host] as const].toSorted(byName);
    // In the order of names already, but for what the caller adds.
    const token = keys.sessionToken === undefined ? '' : `&X-Amz-Security-Token=${encodePart(keys.sessionToken)}`;
    const own =
      `X-Amz-Algorithm=${ALGORITHM}&X-Amz-Credential=${encodePart(`${keys.accessKeyId}/${scopeText(scope)}`)}` +
      `&X-Amz-Date=${scope.amzDate}&X-Amz-Expires=${ttlSeconds}${token}&X-Amz-SignedHeaders=${encodePart(namesOf(headers))}`;
    const query = request.query === undefined ? own : mergedQuery(own, request.query);
    const { method, path } = request;
    const canonical = canonicalText({ method, path, headers, payloadHash: UNSIGNED_PAYLOAD }, query);
    return `${path}?${query}&X-Amz-Signature=${sign(canonical, scope, this.#keyOf(keys.secretAccessKey, scope))}`;
  }

  #amzDate(at: TimeMs): string {
    const second = Math.floor(at / 1_000);
    if (this.#second.at !== second) this.#second = { at: second, amzDate: amzDateOf(second * 1_000) };
    return this.#second.amzDate;
  }

  #keyOf(secret: string, scope: SigningScope): Uint8Array {
    const date = scope.amzDate.slice(0, 8);
    if (this.#day.secret !== secret || this.#day.date !== date) {
      this.#day = { secret, date, key: Uint8Array.from(signingKeyOf(secret, scope)) };
    }
    return this.#day.key;
  }
}

type Pair = readonly [name: string, value: string];

/** In the order of names, then values. */
function byName(a: Pair, b: Pair): number {
  if (a[0] !== b[0]) return a[0] < b[0] ? -1 : 1;
  return a[1] < b[1] ? -1 : a[1] > b[1] ? 1 : 0;
}

function namesOf(headers: SignedRequest['headers']): string {
  let names = '';
  for (const [name] of headers) names += names === '' ? name : `;${name}`;
  return names;
}

function canonicalQuery(query: SignedRequest['query']): string {
  const encoded = query.map(([name, value]): Pair => [encodePart(name), encodePart(value)]);
  return textOf(encoded.toSorted(byName));
}

/** `encoded`, with more parameters in their places. */
function mergedQuery(encoded: string, more: SignedRequest['query']): string {
  const pairs = encoded.split('&').map((pair): Pair => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]);
  const all = [...pairs, ...more.map(([name, value]): Pair => [encodePart(name), encodePart(value)])];
  return textOf(all.toSorted(byName));
}

function textOf(pairs: readonly Pair[]): string {
  return pairs.map(([name, value]) => `${name}=${value}`).join('&');
}
