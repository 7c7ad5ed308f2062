import { Fault } from '../../base/fault.ts';
import type { ObjectBody } from './object-store.ts';

export function lengthOf(body: ObjectBody): number {
  return body instanceof Uint8Array ? body.byteLength : body.lengthBytes;
}

/**
 * The body's bytes from its start, in pieces of at most `pieceBytes`; the last one is held back until the body has ended, so that
 * nobody gets all of a body that then turns out to have more, or to break.
 * @throws {Fault} BAD_REQUEST where they are not as many as it says; whatever the body throws
 */
export async function* piecesOf(key: string, body: ObjectBody, pieceBytes: number): AsyncGenerator<Uint8Array, void, undefined> {
  if (body instanceof Uint8Array) {
    for (let start = 0; start < body.byteLength; start += pieceBytes) yield body.subarray(start, start + pieceBytes);
    return;
  }
  let length = 0;
  let held: Uint8Array | undefined;
  for await (const chunk of body.open()) {
    for (let start = 0; start < chunk.byteLength; start += pieceBytes) {
      if (held !== undefined) yield held;
      held = chunk.subarray(start, start + pieceBytes);
      length += held.byteLength;
      if (length > body.lengthBytes) throw otherLength(key, body.lengthBytes, `more`);
    }
  }
  if (length !== body.lengthBytes) throw otherLength(key, body.lengthBytes, String(length));
  if (held !== undefined) yield held;
}

function otherLength(key: string, saidBytes: number, gave: string): Fault {
  return new Fault('BAD_REQUEST', `Object ${key}: its body said ${saidBytes} bytes and gave ${gave}`);
}
