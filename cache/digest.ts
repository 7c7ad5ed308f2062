import { hash } from 'node:crypto';

declare const digestBrand: unique symbol;

/** Lower-case SHA-256 hex and length in bytes, `<64 hex>-<size>`; made only by `parseDigest`, `digestFrom` and `digestOf`. */
export type Digest = string & { readonly [digestBrand]: true };

const HASH = /^[0-9a-f]{64}$/;
const SIZE = /^(0|[1-9][0-9]{0,15})$/;

/** The digest of no bytes: every store has this blob. */
export const EMPTY_DIGEST = digestOf(new Uint8Array(0));

/** `<hash>-<size>` as a digest, or undefined where it is not one (hash case, length, size range, the empty blob's hash). */
export function parseDigest(text: string): Digest | undefined {
  const dash = text.indexOf('-');
  if (dash !== 64 || !SIZE.test(text.slice(65))) return undefined;
  return digestFrom(text.slice(0, 64), Number(text.slice(65)));
}

/** The digest with that hash and size in bytes, or undefined where no blob can have it. */
export function digestFrom(hashHex: string, sizeBytes: number): Digest | undefined {
  if (!HASH.test(hashHex) || !Number.isSafeInteger(sizeBytes) || sizeBytes < 0) return undefined;
  if (sizeBytes === 0 && hashHex !== hashOf(EMPTY_DIGEST)) return undefined;
  return `${hashHex}-${sizeBytes}` as Digest; // the brand's one cast: everything was checked above
}

const HASH_CHARS = 64;
/** The codes of 0-9 and a-f. */
const IS_HEX = Uint8Array.from({ length: 256 }, (_, code) => (/[0-9a-f]/.test(String.fromCharCode(code)) ? 1 : 0));
/** Room for the text of a digest; its first 64 bytes and the dash are in place before the size is written. */
const TEXT = Buffer.from('-'.padStart(HASH_CHARS + 1).padEnd(HASH_CHARS + 1 + 16));

/** As `digestFrom`, for a hash in ASCII in 64 of the bytes, in half the time: some requests name thousands. */
export function digestAt(bytes: Uint8Array, start: number, sizeBytes: number): Digest | undefined {
  let good = 1;
  for (let index = 0; index < HASH_CHARS; index += 1) {
    const code = bytes[start + index] ?? 0;
    good &= IS_HEX[code] ?? 0;
    TEXT[index] = code;
  }
  if (good === 0 || !Number.isSafeInteger(sizeBytes) || sizeBytes < 0) return undefined;
  let end = HASH_CHARS + 2;
  for (let rest = sizeBytes; rest > 9; rest = Math.floor(rest / 10)) end += 1;
  for (let at = end - 1, rest = sizeBytes; at > HASH_CHARS; at -= 1, rest = Math.floor(rest / 10)) TEXT[at] = 48 + (rest % 10); // 48: 0
  const digest = TEXT.toString('latin1', 0, end) as Digest; // everything was checked above, but for one
  return sizeBytes === 0 && digest !== EMPTY_DIGEST ? undefined : digest;
}

/** The digest of `bytes`. */
export function digestOf(bytes: Uint8Array): Digest {
  return `${hash('sha256', bytes, 'hex')}-${bytes.byteLength}` as Digest; // computed, so valid
}

/** The 64 hex digits. */
export function hashOf(digest: Digest): string {
  return digest.slice(0, 64);
}

/** The size in bytes. */
export function sizeOf(digest: Digest): number {
  return Number(digest.slice(65));
}
