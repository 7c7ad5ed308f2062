import { hash } from 'node:crypto';
import { Fault } from '../../base/fault.ts';
import { digestFrom, hashOf, sizeOf, type Digest } from '../digest.ts';
import { ByteReader, ByteWriter } from './bytes.ts';

const MAGIC = Buffer.from('SWYR', 'latin1');
const VERSION = 1;
const HASH_BYTES = 32;
const PART_BYTES = HASH_BYTES + 4;
const PAGE_BYTES = PART_BYTES + 8;

/** Most parts of a recipe; a blob of more has a recipe of pages, each a recipe of that many parts. */
export const RECIPE_PARTS_MAX = 8_192;

/** A page is a blob of its own that holds a recipe of parts for `coversBytes` of the large blob. */
export type RecipePage = { readonly digest: Digest; readonly coversBytes: number };

/**
 * What a large blob is made of: blobs one after the other, or, for a very large one, pages that say so. Ends in a checksum of
 * its own, since the blob's digest is known to hold only after the last byte.
 */
export type Recipe =
  | { readonly kind: 'parts'; readonly parts: readonly Digest[] }
  | { readonly kind: 'pages'; readonly pages: readonly RecipePage[] };

export function encodeRecipe(recipe: Recipe): Uint8Array {
  const writer = new ByteWriter();
  writer.bytes(MAGIC);
  writer.u8(VERSION);
  writer.u8(recipe.kind === 'parts' ? 0 : 1);
  writer.u16(0);
  const items = recipe.kind === 'parts' ? recipe.parts.map((digest) => ({ digest, coversBytes: undefined })) : recipe.pages;
  writer.u32(items.length);
  for (const { digest, coversBytes } of items) {
    writer.bytes(Buffer.from(hashOf(digest), 'hex'));
    writer.u32(sizeOf(digest));
    if (coversBytes !== undefined) writer.u64(coversBytes);
  }
  const body = writer.take();
  return Buffer.concat([body, Buffer.from(hash('sha256', body, 'hex'), 'hex')]);
}

/**
 * The recipe of `wholeBytes` of the blob `of`.
 * @throws {Fault} BLOB_CORRUPT where it is not whole or does not make that many bytes; PROTOCOL_UNSUPPORTED for a newer version.
 */
export function decodeRecipe(of: Digest, wholeBytes: number, bytes: Uint8Array): Recipe {
  const body = bytes.subarray(0, Math.max(0, bytes.byteLength - HASH_BYTES));
  const sum = Buffer.from(bytes.subarray(body.byteLength));
  if (sum.toString('hex') !== hash('sha256', body, 'hex')) throw damaged(of, 'it has another checksum');
  const reader = new ByteReader(body, (why) => damaged(of, why));
  if (!MAGIC.equals(reader.bytes(MAGIC.byteLength))) throw damaged(of, 'it begins with other bytes');
  const version = reader.u8();
  if (version > VERSION) {
    throw new Fault('PROTOCOL_UNSUPPORTED', `The recipe of blob ${of} has version ${version}; this version reads up to ${VERSION}`, {
      hint: 'Upgrade this data plane: a newer one stored the blob.',
    });
  }
  const paged = reader.u8() === 1;
  reader.u16(); // reserved: 0
  const pages: RecipePage[] = [];
  for (let left = reader.count(paged ? PAGE_BYTES : PART_BYTES); left > 0; left -= 1) {
    const digest = digestFrom(Buffer.from(reader.bytes(HASH_BYTES)).toString('hex'), reader.u32());
    if (digest === undefined) throw damaged(of, 'it names a blob that cannot be');
    pages.push({ digest, coversBytes: paged ? reader.u64() : sizeOf(digest) });
  }
  const covered = pages.reduce((sum, { coversBytes }) => sum + coversBytes, 0);
  if (covered !== wholeBytes) throw damaged(of, `its parts have ${covered} bytes, not ${wholeBytes}`);
  return paged ? { kind: 'pages', pages } : { kind: 'parts', parts: pages.map(({ digest }) => digest) };
}

function damaged(of: Digest, why: string): Fault {
  return new Fault('BLOB_CORRUPT', `The recipe of blob ${of} is damaged: ${why}`);
}
