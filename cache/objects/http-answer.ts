import type { Dispatcher } from 'undici';
import { Fault } from '../../base/fault.ts';
import type { ByteRange } from '../blob-store.ts';
import { failureOfError, faultOf } from './s3-failure.ts';

/** Most bytes of a document that says what went wrong. */
const ERROR_BYTES = 64 * 1024;

/** A range as the header `Range` says it. */
export function rangeText({ offset, length }: ByteRange): string {
  return `bytes=${offset}-${length === undefined ? '' : offset + length - 1}`;
}

/** The document that says what went wrong, or '' where none came. Never throws. */
export async function errorTextOf(answer: Dispatcher.ResponseData): Promise<string> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  try {
    for await (const chunk of answer.body) {
      chunks.push(chunk as Uint8Array); // a body without an encoding is made of Buffers
      length += chunks.at(-1)?.byteLength ?? 0;
      if (length > ERROR_BYTES) break;
    }
  } catch {
    return ''; // the status says enough
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** How many bytes must come. @throws {Fault} STORE_UNAVAILABLE where the answer is not to what was asked. */
export function lengthOfAnswer(answer: Dispatcher.ResponseData, key: string, range: ByteRange | undefined): number {
  const refuse = (why: string): never => {
    answer.body.on('error', () => undefined).destroy();
    throw new Fault('STORE_UNAVAILABLE', `Object ${key} cannot be read: ${why}`);
  };
  const text = answer.headers['content-length'];
  const announced = typeof text === 'string' && /^\d{1,15}$/.test(text) ? Number(text) : refuse('its answer does not say how long it is');
  if (range === undefined) return answer.statusCode === 200 ? announced : refuse('a part came where all of it was asked for');
  if (answer.statusCode !== 206) return refuse('all of it came where a part was asked for; does the endpoint know ranges?');
  const said = String(answer.headers['content-range']);
  const [first, last, total] = (/^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15})$/.exec(said) ?? []).slice(1).map(Number);
  if (first === undefined || last === undefined || total === undefined) return refuse('its answer does not say which part it is');
  const wanted = Math.min(range.length ?? total, total - range.offset);
  if (first !== range.offset || last - first + 1 !== wanted || announced !== wanted) {
    return refuse(`bytes ${range.offset} to ${range.offset + wanted - 1} were asked for, and "${said}" came with ${announced} bytes`);
  }
  return wanted;
}

/**
 * The bytes of an answer, exactly `expected` of them. `onBytes` hears of each chunk's size.
 * @throws {Fault} STORE_UNAVAILABLE where more or fewer come, or it breaks off; what `cancelled` makes of an abort
 */
export async function* bytesOfAnswer(
  answer: Dispatcher.ResponseData,
  { doing, expected, onBytes }: { readonly doing: string; readonly expected: number; readonly onBytes: (count: number) => void },
  cancelled: () => Fault | undefined,
): AsyncGenerator<Uint8Array, void, undefined> {
  let left = expected;
  try {
    for await (const chunk of answer.body) {
      const piece = chunk as Uint8Array; // as in `errorTextOf`
      left -= piece.byteLength;
      if (left < 0) break;
      onBytes(piece.byteLength);
      yield piece;
    }
  } catch (error) {
    throw cancelled() ?? faultOf(failureOfError(error), `${doing}: its answer broke off ${left} bytes before its end`);
  } finally {
    answer.body.destroy();
  }
  if (left === 0) return;
  throw new Fault('STORE_UNAVAILABLE', `${doing}: ${left < 0 ? 'more' : expected - left} bytes came where ${expected} were announced`);
}
