import { Readable } from 'node:stream';
import { Agent, type Dispatcher } from 'undici';
import { Fault } from '../../base/fault.ts';
import type { ByteRange } from '../blob-store.ts';
import { lengthOf, piecesOf } from './object-body.ts';
import type { ObjectBody } from './object-store.ts';
import { failureOfAnswer, failureOfError, faultOf } from './s3-failure.ts';
import { BodyError, cancelled, type S3Session } from './s3-session.ts';

/** For how long our own URLs can be used: each is made for one request. Clocks may be off by as much on AWS. */
const URL_TTL_MS = 15 * 60_000;
/** Most bytes of a document that says what went wrong. */
const ERROR_BYTES = 64 * 1024;
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
    let left = expected;
    try {
      for await (const chunk of answer.body) {
        const piece = chunk as Uint8Array; // a body without an encoding is made of Buffers
        left -= piece.byteLength;
        if (left < 0) break;
        session.counts.receivedBytes += piece.byteLength;
        yield piece;
      }
    } catch (error) {
      if (signal.aborted) throw cancelled(doing, signal);
      throw faultOf(failureOfError(error), `${doing}: its answer broke off ${left} bytes before its end`);
    } finally {
      answer.body.destroy();
    }
    if (left === 0) return;
    throw new Fault('STORE_UNAVAILABLE', `${doing}: ${left < 0 ? 'more' : expected - left} bytes came where ${expected} were announced`);
  }

  /** @throws {S3Failure} for every answer but a good one. */
  async #request(options: Omit<Dispatcher.RequestOptions, 'origin'>): Promise<Dispatcher.ResponseData> {
    const answer = await this.#agent.request({ ...options, origin: this.#session.origin });
    if (answer.statusCode === 200 || answer.statusCode === 206 || answer.statusCode === 204) return answer;
    const text = await readText(answer).catch(() => ''); // the status says enough
    throw failureOfAnswer(answer.statusCode, answer.headers, text);
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }
}

function rangeText({ offset, length }: ByteRange): string {
  return `bytes=${offset}-${length === undefined ? '' : offset + length - 1}`;
}

async function readText(answer: Dispatcher.ResponseData): Promise<string> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of answer.body) {
    chunks.push(chunk as Uint8Array); // as in `get`
    length += chunks.at(-1)?.byteLength ?? 0;
    if (length > ERROR_BYTES) break;
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** How many bytes must come. @throws {Fault} STORE_UNAVAILABLE where the answer is not to what was asked. */
function lengthOfAnswer(answer: Dispatcher.ResponseData, key: string, range: ByteRange | undefined): number {
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
