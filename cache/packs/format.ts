import { createHash, hash } from 'node:crypto';
import zlib from 'node:zlib';
import { isProject, isScope } from '../../base/caller.ts';
import type { TimeMs } from '../../base/clock.ts';
import { Fault } from '../../base/fault.ts';
import { digestFrom, hashOf, sizeOf, type Digest } from '../digest.ts';
import type { BlobRow, Frame, NewPack, Owner, PackName } from '../store-index/store-index.ts';
import { ByteReader, ByteWriter } from './bytes.ts';

/** What this code writes. It reads every minor version of its major one, and every earlier major one (there is none yet). */
export const PACK_FORMAT = { major: 1, minor: 0 } as const;

export const TRAILER_BYTES = 64;
const MAGIC = Buffer.from('SWYDPACK', 'latin1');
/** Bytes of the trailer that its checksum covers, after the footer. */
const COVERED_BYTES = 32;
const HASH_BYTES = 32;
const ROW_BYTES = HASH_BYTES + 8 + 4 + 4 + 4 + 1;
const FRAME_BYTES = 9;
/** A footer of more raw bytes is refused: a pack has at most `PACK_ROWS_MAX` rows. */
const FOOTER_RAW_MAX_BYTES = 16 * 1024 * 1024;

/** Most blobs of a pack. */
export const PACK_ROWS_MAX = 65_536;
/** Most bytes of an encoded or decoded frame. */
export const FRAME_MAX_BYTES = 4 * 1024 * 1024;

const ENCODINGS = ['raw', 'zstd'] as const;
const KINDS = ['bytes', 'recipe'] as const;

/** A frame as it lies in the pack being written: without the pack's name, which an upload may get anew. */
export type FooterFrame = Pick<Frame, 'storedBytes' | 'rawBytes' | 'encoding'>;

export type FooterRow = {
  readonly digest: Digest;
  readonly kind: 'bytes' | 'recipe';
  /** Index of the frame. */
  readonly frame: number;
  readonly offset: number;
  readonly length: number;
};

/** What a pack says of itself at its end. Frames lie one after the other from the first byte of the pack. */
export type Footer = {
  readonly owner: Owner;
  readonly producer: string;
  readonly writtenAt: TimeMs;
  readonly frames: readonly FooterFrame[];
  readonly rows: readonly FooterRow[];
};

/** Footer and trailer, as they follow the last frame. */
export function encodeFooter(footer: Footer): Uint8Array {
  const raw = new ByteWriter();
  raw.u64(footer.writtenAt);
  for (const text of [footer.owner.project, footer.owner.scope, footer.producer]) raw.text(text);
  raw.u32(footer.frames.length);
  for (const { storedBytes, rawBytes, encoding } of footer.frames) {
    raw.u32(storedBytes);
    raw.u32(rawBytes);
    raw.u8(ENCODINGS.indexOf(encoding));
  }
  raw.u32(footer.rows.length);
  for (const { digest, kind, frame, offset, length } of footer.rows) {
    raw.bytes(Buffer.from(hashOf(digest), 'hex'));
    raw.u64(sizeOf(digest));
    for (const number of [frame, offset, length]) raw.u32(number);
    raw.u8(KINDS.indexOf(kind));
  }
  const rawBytes = raw.take();
  const stored = zlib.zstdCompressSync(rawBytes);
  const trailer = new ByteWriter();
  trailer.bytes(MAGIC);
  trailer.u16(PACK_FORMAT.major);
  trailer.u16(PACK_FORMAT.minor);
  trailer.u32(stored.byteLength);
  trailer.u64(footer.frames.reduce((sum, { storedBytes }) => sum + storedBytes, 0));
  trailer.u32(rawBytes.byteLength);
  trailer.u32(0);
  const covered = trailer.take();
  return Buffer.concat([stored, covered, createHash('sha256').update(stored).update(covered).digest()]);
}

/** Where the footer lies. */
export type Trailer = {
  readonly footerOffset: number;
  readonly storedBytes: number;
  readonly rawBytes: number;
  /** The covered part of the trailer, and the checksum. */
  readonly covered: Uint8Array;
  readonly sha256Hex: string;
};

/**
 * The trailer at the end of `tail`, the last bytes of a pack of `sizeBytes`.
 * @throws {Fault} BLOB_CORRUPT where this is no whole pack; PROTOCOL_UNSUPPORTED where a newer version wrote it.
 */
export function decodeTrailer(name: PackName, sizeBytes: number, tail: Uint8Array): Trailer {
  if (tail.byteLength < TRAILER_BYTES) throw damaged(name, `it has ${sizeBytes} bytes, and the trailer alone has ${TRAILER_BYTES}`);
  const bytes = tail.subarray(tail.byteLength - TRAILER_BYTES);
  const reader = new ByteReader(bytes, (why) => damaged(name, why));
  if (!MAGIC.equals(reader.bytes(MAGIC.byteLength))) throw damaged(name, 'its end is not that of a pack: it was cut off or overwritten');
  const major = reader.u16();
  const minor = reader.u16();
  if (major > PACK_FORMAT.major) {
    throw new Fault('PROTOCOL_UNSUPPORTED', `Pack ${name} has format ${major}.${minor}; this version reads up to ${PACK_FORMAT.major}.x`, {
      hint: 'Upgrade this data plane: a newer one wrote the pack.',
    });
  }
  const storedBytes = reader.u32();
  const footerOffset = reader.u64();
  const rawBytes = reader.u32();
  reader.u32(); // reserved: 0
  if (footerOffset + storedBytes + TRAILER_BYTES !== sizeBytes) {
    throw damaged(name, `its trailer speaks of ${footerOffset + storedBytes + TRAILER_BYTES} bytes, and the object has ${sizeBytes}`);
  }
  if (rawBytes > FOOTER_RAW_MAX_BYTES) throw damaged(name, `its footer claims ${rawBytes} bytes, more than any has`);
  const covered = bytes.subarray(0, COVERED_BYTES);
  return { footerOffset, storedBytes, rawBytes, covered, sha256Hex: Buffer.from(bytes.subarray(COVERED_BYTES)).toString('hex') };
}

/** @throws {Fault} BLOB_CORRUPT where the bytes are not those that were written, or make no sense. */
export function decodeFooter(name: PackName, trailer: Trailer, stored: Uint8Array): Footer {
  if (hash('sha256', Buffer.concat([stored, trailer.covered]), 'hex') !== trailer.sha256Hex)
    throw damaged(name, 'its footer has another SHA-256 than the trailer says');
  let raw: Buffer;
  try {
    raw = zlib.zstdDecompressSync(stored, { maxOutputLength: Math.max(1, trailer.rawBytes) });
  } catch (error) {
    throw damaged(name, 'its footer cannot be decompressed', error);
  }
  const reader = new ByteReader(raw, (why) => damaged(name, why));
  const writtenAt = reader.u64();
  const owner = { project: reader.text(), scope: reader.text() };
  if (!isProject(owner.project) || !isScope(owner.scope)) throw damaged(name, `no owner is called "${owner.project}/${owner.scope}"`);
  const producer = reader.text();
  const frames = Array.from({ length: reader.count(FRAME_BYTES) }, () => frameOf(name, reader));
  const stretch = frames.reduce((sum, { storedBytes }) => sum + storedBytes, 0);
  if (stretch !== trailer.footerOffset)
    throw damaged(name, `its frames have ${stretch} bytes, and the footer begins at ${trailer.footerOffset}`);
  const rows = Array.from({ length: reader.count(ROW_BYTES) }, () => rowOf(name, reader, frames));
  return { owner, producer, writtenAt, frames, rows };
}

/** The pack as the index takes it. `name` is the object's: a pack does not know its own. `begunAt` as `NewPack` says. */
export function packOf(name: PackName, sizeBytes: number, footer: Footer, begunAt: TimeMs): NewPack {
  let offset = 0;
  const frames = footer.frames.map(({ storedBytes, rawBytes, encoding }): Frame => {
    const frame = { pack: name, offset, storedBytes, rawBytes, encoding };
    offset += storedBytes;
    return frame;
  });
  const rows = footer.rows.map(({ digest, kind, frame: index, offset, length }): BlobRow => {
    const frame = frames[index];
    if (frame === undefined) throw damaged(name, `it has no frame ${index}`);
    return { digest, place: { kind, frame, offset, length } };
  });
  return { name, owner: footer.owner, sizeBytes, producer: footer.producer, begunAt, rows };
}

function frameOf(name: PackName, reader: ByteReader): FooterFrame {
  const storedBytes = reader.u32();
  const rawBytes = reader.u32();
  const encoding = ENCODINGS[reader.u8()];
  if (encoding === undefined) throw damaged(name, 'a frame has an encoding that does not exist');
  if (storedBytes > FRAME_MAX_BYTES || rawBytes > FRAME_MAX_BYTES)
    throw damaged(name, `a frame claims ${Math.max(storedBytes, rawBytes)} bytes`);
  return { storedBytes, rawBytes, encoding };
}

function rowOf(name: PackName, reader: ByteReader, frames: readonly FooterFrame[]): FooterRow {
  const digest = digestFrom(Buffer.from(reader.bytes(HASH_BYTES)).toString('hex'), reader.u64());
  const frame = reader.u32();
  const offset = reader.u32();
  const length = reader.u32();
  const kind = KINDS[reader.u8()];
  const rawBytes = frames[frame]?.rawBytes;
  if (digest === undefined || kind === undefined || rawBytes === undefined || offset + length > rawBytes)
    throw damaged(name, 'a row of its footer makes no sense');
  if (kind === 'bytes' && length !== sizeOf(digest)) throw damaged(name, `its row of ${digest} has ${length} bytes`);
  return { digest, kind, frame, offset, length };
}

function damaged(name: PackName, why: string, cause?: unknown): Fault {
  return new Fault('BLOB_CORRUPT', `Pack ${name} is damaged: ${why}`, cause === undefined ? {} : { cause });
}
