import { Fault } from '../../base/fault.ts';
import type { ByteRange } from '../blob-store.ts';

const KEY = /^[A-Za-z0-9._-]+(\/[A-Za-z0-9._-]+)*$/;
/** So that a prefix of the bucket fits before it: endpoints take 1,024 bytes. */
const KEY_LENGTH_MAX = 512;

/** Whether objects can have that name: see `ObjectStore`. Segments of dots only are none: some endpoints work them out. */
export function isObjectKey(key: string): boolean {
  return key.length <= KEY_LENGTH_MAX && KEY.test(key) && !/(^|\/)\.{1,2}(\/|$)/.test(key);
}

/** `key`, where objects can have that name. @throws {Fault} BAD_REQUEST */
export function checkObjectKey(key: string): string {
  if (isObjectKey(key)) return key;
  throw new Fault('BAD_REQUEST', `${JSON.stringify(key.slice(0, 600))} is no key of an object`, {
    field: 'key',
    hint: 'Keys are 1 to 512 characters of A-Z a-z 0-9 . _ - in segments between slashes.',
  });
}

/** First byte and number of bytes of a range of an object of that size. @throws {Fault} OUT_OF_RANGE where it starts beyond the end. */
export function spanOfObject(
  key: string,
  sizeBytes: number,
  range: ByteRange | undefined,
): { readonly start: number; readonly length: number } {
  checkRange(key, range);
  const start = range?.offset ?? 0;
  if (start > sizeBytes) throw new Fault('OUT_OF_RANGE', `Object ${key} has ${sizeBytes} bytes: there is no offset ${start}`);
  return { start, length: Math.min(range?.length ?? sizeBytes, sizeBytes - start) };
}

/** @throws {Fault} OUT_OF_RANGE where no object can have such a range. */
export function checkRange(key: string, range: ByteRange | undefined): void {
  const { offset = 0, length = 0 } = range ?? {};
  if (offset < 0 || length < 0) throw new Fault('OUT_OF_RANGE', `Object ${key}: there are no ${length} bytes at offset ${offset}`);
}
