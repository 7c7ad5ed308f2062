import { Readable } from 'node:stream';
import { Agent, type Dispatcher } from 'undici';
import type { ByteRange } from '../blob-store.ts';
import { bytesOfAnswer, errorTextOf, lengthOfAnswer, rangeText } from './http-answer.ts';
import { lengthOf, piecesOf } from './object-body.ts';
import type { ObjectBody } from './object-store.ts';
import { failureOfAnswer } from './s3-failure.ts';
import { BodyError, cancelled, type S3Session } from './s3-session.ts';

/** For how long our own URLs can be used: each is made for one request. Clocks may be off by as much on AWS. */
const URL_TTL_MS = 15 * 60_000;
/** In such pieces bodies are written: a connection on which none can be written for long is stuck. */
const PIECE_BYTES = 256 * 1024;

/** The bytes of objects over plain HTTP, by URLs that we sign ourselves: a tenth of what the same costs through the SDK. */
export class S3Http {
  readonly #session: S3Session;
  readonly #agent: Agent;

  constructor(session: S3Session) {
    this.#session = session;
    const { config, tuning } = session;
    this.#agent = new Agent({
      connections: config.connectionsMax,
      allowH2: false,
      pipelining: 1,
      headersTimeout: tuning.answerMs,
      bodyTimeout: tuning.stallMs,
      connect: { timeout: tuning.connectMs, ...(config.ca === undefined ? {} : { ca: config.ca }) },
    });
  }

  /** One request that puts a body; the ETag of what came about. @throws {S3Failure}; {BodyError} */
  async put(
    key: string,
    body: ObjectBody,
    more: { readonly headers?: Readonly<Record<string, string>>; readonly query?: readonly (readonly [string, string])[] },
    signal: AbortSignal,
  ): Promise<string> {
    const session = this.#session;
    const length = lengthOf(body);
    const path = session.presign('PUT', key, URL_TTL_MS, more);
    let broken: BodyError | undefined;
    const pieces = async function* () {
      try {
        for await (const piece of piecesOf(key, body, PIECE_BYTES)) {
          session.counts.sentBytes += piece.byteLength;
          yield piece;
        }
      } catch (error) {
        broken = new BodyError(`The body of ${key} broke`, { cause: error });
        throw broken;
      }
    };
    try {
      // A body of nothing is read too: it may be longer than it says.
      if (length === 0) for await (const _ of pieces());
      const stream = length === 0 ? null : Readable.from(pieces(), { highWaterMark: 2 });
      const headers = { ...more.headers, 'content-length': String(length) };
      const answer = await this.#request({ method: 'PUT', path, headers, body: stream, signal });
      await answer.body.dump();
      return String(answer.headers['etag'] ?? '');
    } catch (error) {
      throw broken ?? error;
    }
  }

  /** The bytes of an object, from one answer; what comes before its first byte is tried again. */
  async *get(key: string, range: ByteRange | undefined, signal: AbortSignal): AsyncGenerator<Uint8Array, void, undefined> {
    const session = this.#session;
    const doing = `Object ${key} cannot be read`;
    const headers = range === undefined ? {} : { range: rangeText(range) };
    const open = () => this.#request({ method: 'GET', path: session.presign('GET', key, URL_TTL_MS), headers, signal });
    const answer = await session.run(doing, open, signal);
    const expected = lengthOfAnswer(answer, key, range);
    const onBytes = (count: number) => void (session.counts.receivedBytes += count);
    yield* bytesOfAnswer(answer, { doing, expected, onBytes }, () => (signal.aborted ? cancelled(doing, signal) : undefined));
  }

  /** @throws {S3Failure} for every answer but a good one. */
  async #request(options: Omit<Dispatcher.RequestOptions, 'origin'>): Promise<Dispatcher.ResponseData> {
    const answer = await this.#agent.request({ ...options, origin: this.#session.origin });
    if (answer.statusCode === 200 || answer.statusCode === 206 || answer.statusCode === 204) return answer;
    throw failureOfAnswer(answer.statusCode, answer.headers, await errorTextOf(answer));
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }
}
