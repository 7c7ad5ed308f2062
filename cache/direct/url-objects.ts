import { Readable } from 'node:stream';
import { Agent, type Dispatcher } from 'undici';
import { Fault } from '../../base/fault.ts';
import type { ByteRange } from '../blob-store.ts';
import { bytesOfAnswer, errorTextOf, lengthOfAnswer, rangeText } from '../objects/http-answer.ts';
import { failureOfAnswer, failureOfError, faultOf } from '../objects/s3-failure.ts';

/** Objects by URLs that somebody else has signed. */
export interface UrlObjects extends AsyncDisposable {
  /**
   * The bytes, from one request, exactly as many as the range has.
   * @throws {Fault} FORBIDDEN where the URL is not taken (any more); OBJECT_UNKNOWN, OUT_OF_RANGE, STORE_UNAVAILABLE, CANCELLED
   */
  get(url: string, range: ByteRange | undefined, signal: AbortSignal): AsyncGenerator<Uint8Array, void, undefined>;
  /**
   * Puts the bytes. `headers` have been signed along with the URL, the length among them.
   * @throws {Fault} FORBIDDEN where the URL is not taken, or was used before; STORE_UNAVAILABLE, CANCELLED
   */
  put(url: string, headers: Readonly<Record<string, string>>, chunks: readonly Uint8Array[], signal: AbortSignal): Promise<void>;
}

export type UrlTuning = {
  readonly connectionsMax: number;
  /** Longest waits: for a connection, for an answer to begin, for its next byte. */
  readonly connectMs: number;
  readonly answerMs: number;
  readonly stallMs: number;
};

/** Answers that say that this URL is not for us, rather than that the endpoint has trouble. */
const REFUSALS: ReadonlySet<number> = new Set([400, 401, 403, 405, 407, 412]);

/** Over plain HTTP, without following redirects: a signature is for one host. */
export function openUrlObjects({ connectionsMax, connectMs, answerMs, stallMs }: UrlTuning): UrlObjects {
  const agent = new Agent({
    connections: connectionsMax,
    allowH2: false,
    pipelining: 1,
    headersTimeout: answerMs,
    bodyTimeout: stallMs,
    connect: { timeout: connectMs },
  });
  return {
    async *get(url, range, signal) {
      const { origin, pathname, search } = new URL(url);
      const doing = `Object ${pathname} cannot be read from ${origin}`;
      const cancelled = () => (signal.aborted ? new Fault('CANCELLED', `${doing}: nobody wants it any more`) : undefined);
      let answer: Dispatcher.ResponseData;
      try {
        const headers = range === undefined ? {} : { range: rangeText(range) };
        answer = await agent.request({ method: 'GET', origin, path: `${pathname}${search}`, headers, signal });
      } catch (error) {
        throw cancelled() ?? faultOf(failureOfError(error), doing);
      }
      await refuseAllBut(answer, [200, 206], doing);
      const expected = lengthOfAnswer(answer, pathname, range);
      yield* bytesOfAnswer(answer, { doing, expected, onBytes: () => {} }, cancelled);
    },
    async put(url, headers, chunks, signal) {
      const { origin, pathname, search } = new URL(url);
      const doing = `Object ${pathname} cannot be put to ${origin}`;
      try {
        const body = Readable.from(chunks, { highWaterMark: 2 });
        const answer = await agent.request({ method: 'PUT', origin, path: `${pathname}${search}`, headers, body, signal });
        await refuseAllBut(answer, [200], doing);
        await answer.body.dump();
      } catch (error) {
        if (signal.aborted) throw new Fault('CANCELLED', `${doing}: nobody wants it any more`);
        throw error instanceof Fault ? error : faultOf(failureOfError(error), doing);
      }
    },
    [Symbol.asyncDispose]: () => agent.destroy(),
  };
}

/** @throws {Fault} FORBIDDEN where the URL is refused; as `faultOf` */
async function refuseAllBut(answer: Dispatcher.ResponseData, good: readonly number[], doing: string): Promise<void> {
  const { statusCode, headers } = answer;
  if (good.includes(statusCode)) return;
  const failure = failureOfAnswer(statusCode, headers, await errorTextOf(answer));
  const fault = faultOf(failure, doing);
  throw REFUSALS.has(statusCode) ? new Fault('FORBIDDEN', fault.message, { cause: failure }) : fault;
}
