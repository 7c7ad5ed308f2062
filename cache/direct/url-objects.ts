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
}

export type UrlTuning = {
  readonly connectionsMax: number;
  /** Longest waits: for a connection, for an answer to begin, for its next byte. */
  readonly connectMs: number;
  readonly answerMs: number;
  readonly stallMs: number;
};

/** Answers that say that this URL is not for us, rather than that the endpoint has trouble. */
const REFUSALS: ReadonlySet<number> = new Set([400, 401, 403, 405, 407]);

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
      const { statusCode, headers } = answer;
      if (statusCode !== 200 && statusCode !== 206) {
        const failure = failureOfAnswer(statusCode, headers, await errorTextOf(answer));
        const fault = faultOf(failure, doing);
        throw REFUSALS.has(statusCode) ? new Fault('FORBIDDEN', fault.message, { cause: failure }) : fault;
      }
      const expected = lengthOfAnswer(answer, pathname, range);
      yield* bytesOfAnswer(answer, { doing, expected, onBytes: () => {} }, cancelled);
    },
    [Symbol.asyncDispose]: () => agent.destroy(),
  };
}
