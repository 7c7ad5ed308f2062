import { randomBytes } from 'node:crypto';
import type { PackName } from '../store-index/store-index.ts';

const NAME = /^[0-9a-f]{32}$/;
const KEY = /^p\/([0-9a-f]{2})\/([0-9a-f]{32})$/;

/** Prefix of all packs' objects. */
export const PACK_PREFIX = 'p/';

/** Prefix of packs that agents have put, and that nobody has looked at. */
export const UPLOAD_PREFIX = 'u/';

/** A name that nothing had before: 128 random bits. */
export function newPackName(): PackName {
  return randomBytes(16).toString('hex') as PackName; // 32 hex digits by construction
}

/** `text` as a pack's name, or undefined where it is none. */
export function parsePackName(text: string): PackName | undefined {
  return NAME.test(text) ? (text as PackName) : undefined; // checked just now
}

/** Key of a pack's object. The two digits in front spread packs over a store's prefixes. */
export function packKey(name: PackName): string {
  return `${PACK_PREFIX}${name.slice(0, 2)}/${name}`;
}

/** Key of a pack as an agent puts it; once it was found good, it is copied to a pack of another name. */
export function uploadKey(name: PackName): string {
  return `${UPLOAD_PREFIX}${name}`;
}

/** The pack whose object has that key, or undefined where the key is no pack's. */
export function packOfKey(key: string): PackName | undefined {
  const [, prefix, name] = KEY.exec(key) ?? [];
  return name !== undefined && prefix === name.slice(0, 2) ? parsePackName(name) : undefined;
}
