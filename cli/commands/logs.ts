import { setTimeout as sleep } from 'node:timers/promises';
import { backoffMs } from '../../base/backoff.ts';
import { isPassing } from '../follow.ts';
import type { BuildServer, LogQuery } from '../rpc/client.ts';
import { EXIT } from '../exit.ts';
import { openServer, resolveBuild, say, type Session } from '../session.ts';
import type { LogChunk } from '../build-view.ts';
import { aboutStep } from '../step-name.ts';
import { UsageError } from '../exit.ts';

export type LogsOptions = { readonly follow?: boolean; readonly attempt: number; readonly offset: number };

/** Prints a step's log byte for byte; with `follow` until it ends. */
export async function logsCommand(
  session: Session,
  buildText: string,
  stepName: string | undefined,
  options: LogsOptions,
): Promise<number> {
  using server = await openServer(session);
  const build = await resolveBuild(server, buildText, session.signal);
  const step = stepName ?? (await onlyStep(server, build, session.signal));
  const query = { build, step, attempt: options.attempt, offset: options.offset, follow: options.follow === true };
  const bytes = await aboutStep(server, build, step, session.signal, () => printLog(session, server, query));
  if (bytes === 0 && options.offset === 0 && !session.json) {
    const found = (await server.snapshot(build, session.signal)).steps.find(({ name }) => name === step);
    if (found?.attempts.length === 0 && found.result === undefined)
      say(
        session,
        `${step} has no log: it has not run${found.verdict === undefined ? ' yet; --follow waits for it' : ` (${found.verdict})`}`,
      );
  }
  return EXIT.ok;
}

/** Prints the log as it comes; the bytes that it had. */
async function printLog(session: Session, server: BuildServer, query: LogQuery): Promise<number> {
  const { stdout } = session.terminal;
  let bytes = 0;
  for await (const chunk of steadyLog(server, query, session)) {
    bytes += chunk.data.length;
    const free = session.json ? stdout.write(`${JSON.stringify(chunkJson(chunk))}\n`) : stdout.write(chunk.data);
    if (!free) await stdout.drained();
    if (chunk.complete && chunk.truncated) say(session, 'switchyard: the log was longer than what is kept');
  }
  return bytes;
}

async function onlyStep(server: BuildServer, build: string, signal: AbortSignal): Promise<string> {
  const { steps } = await server.snapshot(build, signal);
  const [only, second] = steps;
  if (only !== undefined && second === undefined) return only.name;
  const names = steps.slice(0, 20).map((step) => step.name);
  throw new UsageError('The build has several steps: say which', `Its steps: ${names.join(', ')}${steps.length > 20 ? ', …' : ''}.`);
}

/** What `--output json` prints per piece: bytes as base64, since logs need not be text. */
function chunkJson(chunk: LogChunk) {
  const { offset, attempt, complete, truncated } = chunk;
  return { offset, attempt, data: Buffer.from(chunk.data).toString('base64'), complete, truncated };
}

/** Times that a log is asked for again after its stream broke, without a byte in between. */
const TRIES_MAX = 40;
const BACKOFF = { initialMs: 200, maxMs: 3_000 };

/**
 * A log that goes on where it was when the connection broke. A step whose attempt changed under a follower starts again at 0
 * with the new attempt's number.
 */
export async function* steadyLog(
  server: BuildServer,
  query: LogQuery,
  { prng, signal }: Pick<Session, 'prng' | 'signal'>,
): AsyncGenerator<LogChunk, void, void> {
  let { offset, attempt } = query;
  for (let tries = 0; ;) {
    try {
      for await (const chunk of server.log({ ...query, offset, attempt }, signal)) {
        tries = 0;
        attempt = chunk.attempt;
        offset = chunk.offset + chunk.data.length;
        yield chunk;
        if (chunk.complete) return;
      }
      return;
    } catch (error) {
      if (signal.aborted || !isPassing(error) || tries >= TRIES_MAX) throw error;
      tries += 1;
      await sleep(Math.max(50, (error.retryAfterMs ?? 0) + backoffMs(BACKOFF, tries, prng)), undefined, { signal });
    }
  }
}

/** The last lines of a log, without what came before the first of them. */
export async function logTail(
  server: BuildServer,
  query: { readonly build: string; readonly step: string; readonly sizeBytes: number | undefined },
  lines: number,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const window = 64 * 1024;
  const offset = Math.max(0, (query.sizeBytes ?? 0) - window);
  let kept = Buffer.alloc(0);
  for await (const chunk of server.log({ ...query, attempt: 0, offset, follow: false }, signal)) {
    kept = Buffer.concat([kept, chunk.data]);
    if (kept.length > 2 * window) kept = kept.subarray(kept.length - window);
  }
  const all = kept.toString('utf8').split(/\r?\n/);
  if (all.at(-1) === '') all.pop();
  return all.slice(-lines);
}
