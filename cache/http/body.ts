import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Clock } from '../../base/clock.ts';
import { Fault } from '../../base/fault.ts';
import type { Body } from './exchange.ts';

/** How long a client may keep us waiting for its body in all: so long, and a second for each so many bytes that came. */
const WAIT_MS = 60_000;
const BYTES_PER_S_MIN = 4_096;

export function bodyTooLarge(bytesMax: number, field?: string): Fault {
  return new Fault('TOO_LARGE', `Bodies of more than ${bytesMax} bytes are not taken`, {
    hint: 'The data plane has the option --http-body-bytes.',
    ...(field === undefined ? {} : { field }),
  });
}

/**
 * The body of a request, of at most `bytesMax` bytes. A client that waits to be asked for it (`Expect: 100-continue`) is asked when the
 * first byte is wanted: who is refused before that has sent none.
 * @throws {Fault} TOO_LARGE where the request says that it has more
 */
export function bodyOf(
  request: Pick<IncomingMessage, 'headers' | 'iterator'>,
  response: Pick<ServerResponse, 'writeContinue'>,
  waits: boolean,
  bytesMax: number,
  clock: Pick<Clock, 'monotonic'>,
): Body {
  const said = request.headers['content-length'];
  const lengthBytes = said === undefined ? undefined : Number(said);
  const tooLarge = () => bodyTooLarge(bytesMax);
  if (lengthBytes !== undefined && lengthBytes > bytesMax) throw tooLarge();
  return { lengthBytes, bytesMax, chunks: chunksOf() };

  async function* chunksOf(): AsyncGenerator<Uint8Array, void, undefined> {
    if (waits) response.writeContinue();
    let length = 0;
    let waitedMs = 0;
    let since = clock.monotonic();
    try {
      for await (const chunk of request.iterator({ destroyOnReturn: false })) {
        const bytes: Uint8Array = chunk; // a request without an encoding gives Buffers
        length += bytes.byteLength;
        if (length > bytesMax) throw tooLarge();
        waitedMs += clock.monotonic() - since;
        if (waitedMs > WAIT_MS + (length / BYTES_PER_S_MIN) * 1_000)
          throw new Fault('DEADLINE', `The body comes too slowly: ${length} bytes in ${Math.round(waitedMs / 1_000)} s`);
        yield bytes;
        since = clock.monotonic(); // what we did with it meanwhile is not the client's time
      }
    } catch (error) {
      if (error instanceof Fault) throw error;
      throw new Fault('CANCELLED', 'The client went away in the middle of its body', { cause: error });
    }
  }
}
