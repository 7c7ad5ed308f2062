import { Fault } from '../base/fault.ts';
import type { ByteRange } from './blob-store.ts';
import { sizeOf, type Digest } from './digest.ts';

/** First byte and number of bytes that a range asks for. @throws {Fault} OUT_OF_RANGE where it starts beyond the end. */
export function spanOf(digest: Digest, range: ByteRange | undefined): { readonly start: number; readonly length: number } {
  const size = sizeOf(digest);
  const start = range?.offset ?? 0;
  const length = range?.length ?? size - start;
  if (start < 0 || start > size || length < 0) {
    throw new Fault('OUT_OF_RANGE', `Blob ${digest} has ${size} bytes: there is no offset ${start}`, { field: 'read_offset' });
  }
  return { start, length: Math.min(length, size - start) };
}
