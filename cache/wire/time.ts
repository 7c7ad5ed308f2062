import { WireReader, type WireWriter } from './wire.ts';

const US = 1_000_000;

/** Writes a google.protobuf.Timestamp in `field`; `atUs` are whole microseconds since 1970, before it negative. */
export function writeTime(writer: WireWriter, field: number, atUs: number): void {
  const seconds = Math.floor(atUs / US);
  writer.message(field, (time) => time.signed(1, seconds).varint(2, (atUs - seconds * US) * 1_000));
}

/** Reads a google.protobuf.Timestamp as whole microseconds since 1970; beyond 2^53 they are not exact. @throws {Fault} BAD_REQUEST */
export function readTime(bytes: Uint8Array): number {
  let [seconds, nanos] = [0, 0];
  const reader = new WireReader(bytes, 'Timestamp');
  while (reader.next()) {
    if (reader.field === 1) seconds = reader.signed();
    else if (reader.field === 2) nanos = reader.signed();
  }
  return seconds * US + Math.floor(nanos / 1_000);
}
