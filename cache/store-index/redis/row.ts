import { hashOf, sizeOf, type Digest } from '../../digest.ts';
import type { BlobPlace, BlobRow, EntryKey, EntryKind, EntryRow, Frame, NewEntry, PackName } from '../store-index.ts';
import { Fault } from '../../../base/fault.ts';
import { bytesOf, listOf, textIn, type Answer } from './script.ts';

/** Bytes in front of a row's own: the number of its pack, which only the script knows. */
const PACK_BYTES = 4;

/** The 32 bytes under which a blob's row lies. */
export function fieldOf(digest: Digest): Buffer {
  return Buffer.from(hashOf(digest), 'hex');
}

/** A row without its pack: frame offset with the kind, offset, length, and the size where it is not the length. About 9 bytes. */
export function encodeRow({ digest, place }: BlobRow): Buffer {
  const isRecipe = place.kind === 'recipe';
  const numbers = [2 * place.frame.offset + Number(isRecipe), place.offset, place.length, ...(isRecipe ? [sizeOf(digest)] : [])];
  return Buffer.from(numbers.flatMap((number) => [...varint(number)]));
}

/** The row of a blob, or undefined where it is of another size than the digest says. */
export function decodeRow(
  row: Buffer,
  digest: Digest,
  frameAt: (pack: string, offset: number) => Frame | undefined,
): BlobPlace | undefined {
  const numbers = varintsOf(row.subarray(PACK_BYTES));
  const [first = 0, offset = 0, length = 0, size = length] = numbers;
  if (size !== sizeOf(digest)) return undefined;
  const frame = frameAt(String(row.readUInt32BE(0)), Math.floor(first / 2));
  return frame && { kind: first % 2 === 1 ? 'recipe' : 'bytes', frame, offset, length };
}

/** What is kept of a frame, under its offset. */
export function encodeFrame({ storedBytes, rawBytes, encoding }: Frame): string {
  return `${storedBytes} ${rawBytes}${encoding === 'raw' ? ' r' : ''}`;
}

export function decodeFrame(pack: PackName, offset: number, text: string): Frame {
  const [stored, raw, mark] = text.split(' ');
  return { pack, offset, storedBytes: Number(stored), rawBytes: Number(raw), encoding: mark === 'r' ? 'raw' : 'zstd' };
}

/** What is kept of an entry beside its name, record and times. */
export function encodeEntry({ object, packs, bytes, producer, replace }: NewEntry): string {
  return JSON.stringify({ object, packs, bytes, producer, replace });
}

type StoredEntry = Pick<NewEntry, 'object' | 'packs' | 'bytes' | 'producer' | 'replace'>;

/** A row as the script answers it: which, name, JSON, record, times. */
export function decodeEntry(answer: Answer): EntryRow {
  const [which, name, json, record, times] = listOf(answer);
  const stored = JSON.parse(textIn(json)) as StoredEntry; // as encodeEntry wrote it
  const [createdAt = 0, usedAt = 0] = textIn(times).split(' ').map(Number);
  const packs = Array.isArray(stored.packs) ? stored.packs : [];
  const state = textIn(which) === 'q' ? 'pending' : 'published';
  return { ...stored, packs, at: keyOfText(textIn(name)), record: bytesOf(record), state, createdAt, usedAt };
}

/** The name of an entry from its text, as `entryText` makes it. */
export function keyOfText(text: string): EntryKey {
  const [project = '', scope = '', kind, ...key] = text.split('\0');
  if (kind !== 'action' && kind !== 'dependency' && kind !== 'layer' && kind !== 'tool') {
    throw new Fault('STORE_UNAVAILABLE', `The store's index has an entry of no kind: ${JSON.stringify(text)}`);
  }
  return { kind: kind satisfies EntryKind, owner: { project, scope }, key: key.join('\0') };
}

/** 7 bits a byte, the lowest first; the highest bit says that more follow. Up to 2^53. */
function* varint(number: number): Iterable<number> {
  let rest = number;
  for (; rest >= 128; rest = Math.floor(rest / 128)) yield (rest % 128) + 128;
  yield rest;
}

function varintsOf(bytes: Uint8Array): readonly number[] {
  const numbers: number[] = [];
  let [number, factor] = [0, 1];
  for (const byte of bytes) {
    number += (byte % 128) * factor;
    factor *= 128;
    if (byte >= 128) continue;
    numbers.push(number);
    [number, factor] = [0, 1];
  }
  return numbers;
}
