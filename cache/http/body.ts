import type { IncomingMessage, ServerResponse } from 'node:http';
import { Fault } from '../../base/fault.ts';
import type { Body } from './exchange.ts';

/**
 * The body of a request, of at most `bytesMax` bytes. A client that waits to be asked for it (`Expect: 100-continue`) is asked when the
 * first byte is wanted: who is refused before that has sent none.
 * @throws {Fault} TOO_LARGE where the request says that it has more
 */
export function bodyOf(request: IncomingMessage, response: ServerResponse, waits: boolean, bytesMax: number): Body {
  const said = request.headers['content-length'];
  const lengthBytes = said === undefined ? undefined : Number(said);
  const tooLarge = () =>
    new Fault('TOO_LARGE', `Bodies of more than ${bytesMax} bytes are not taken`, {
      hint: 'The data plane has the option --http-body-bytes.',
    });
  if (lengthBytes !== undefined && lengthBytes > bytesMax) throw tooLarge();
  return { lengthBytes, chunks: chunksOf() };

  async function* chunksOf(): AsyncGenerator<Uint8Array, void, undefined> {
    if (waits) response.writeContinue();
    let length = 0;
    try {
      for await (const chunk of request.iterator({ destroyOnReturn: false })) {
        const bytes: Uint8Array = chunk; // a request without an encoding gives Buffers
        length += bytes.byteLength;
        if (length > bytesMax) throw tooLarge();
        yield bytes;
      }
    } catch (error) {
      if (error instanceof Fault) throw error;
      throw new Fault('CANCELLED', 'The client went away in the middle of its body', { cause: error });
    }
  }
}
