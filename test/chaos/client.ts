import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { isFault } from '../../base/fault.ts';
import type { Prng } from '../../base/prng.ts';
import type { BuildEvent, BuildSnapshot } from '../../cli/build-view.ts';
import { digestFrom, type Digest } from '../../cache/digest.ts';
import type { Amnesia } from './amnesia.ts';
import { isPassing, type Endpoints } from './endpoints.ts';
import type { ObservedBuild } from './observation.ts';
import type { PlannedBuild } from './workload.ts';

export type ClientOptions = {
  readonly endpoints: Endpoints;
  readonly prng: Prng;
  /** Every event, as soon as the watcher has it. */
  readonly onEvent: (build: string, event: BuildEvent) => void;
  readonly onAcknowledged: (build: string) => void;
  readonly amnesia: Amnesia;
  readonly signal: AbortSignal;
};

/** Now and then a watcher goes away by itself and comes back elsewhere: after one event in so many. */
const LEAVES_ONE_IN = 25;

/**
 * The whole life of one build for its client: submits it, again and again under the same key until it is acknowledged,
 * watches it to its end over whatever connections that takes, and then reads everything that is left of it. All of that
 * again where the ledger lost its memory meanwhile: what is returned was seen with nothing forgotten in between.
 */
export async function runBuild(planned: PlannedBuild, options: ClientOptions): Promise<ObservedBuild> {
  for (;;) {
    const { count } = options.amnesia;
    try {
      const observed = await observeBuild(planned, options);
      if ((await countOf(options)) === count) return observed;
    } catch (error) {
      options.signal.throwIfAborted();
      if ((await countOf(options)) === count) throw error;
    }
  }
}

/** `Amnesia.count`, once no loss is under way. */
async function countOf({ amnesia, signal }: ClientOptions): Promise<number> {
  while (amnesia.overMs === Number.POSITIVE_INFINITY) await sleep(AMNESIA_POLL_MS, undefined, { signal });
  return amnesia.count;
}

const AMNESIA_POLL_MS = 100;

async function observeBuild(planned: PlannedBuild, options: ClientOptions): Promise<ObservedBuild> {
  const { endpoints, signal } = options;
  const id = await endpoints.call(async (server, one) => (await server.submit(planned.request, one)).id, signal);
  options.onAcknowledged(id);
  const watched = await watchToEnd(id, options);
  return { planned, id, watched, ...(await readBack(id, options)) };
}

/** Everything that is left of a build that has ended. */
export async function readBack(
  id: string,
  options: Pick<ClientOptions, 'endpoints' | 'signal'>,
): Promise<Pick<ObservedBuild, 'snapshot' | 'history' | 'logs'>> {
  const snapshot = await readSnapshot(id, options);
  const history = snapshot === undefined ? undefined : await readHistory(id, options);
  const logs = new Map<string, Digest>();
  for (const step of snapshot?.steps ?? []) {
    if (step.result === undefined) continue;
    const digest = await readLog(id, step.name, options);
    if (digest !== undefined) logs.set(step.name, digest);
  }
  return { snapshot, history, logs };
}

/** What was seen, in parts: see `ObservedBuild.watched`. */
async function watchToEnd(id: string, { endpoints, prng, onEvent, signal }: ClientOptions): Promise<readonly (readonly BuildEvent[])[]> {
  let part: BuildEvent[] = [];
  const parts = [part];
  let cursor = '';
  for (;;) {
    const leave = new AbortController();
    const both = AbortSignal.any([signal, leave.signal]);
    try {
      for await (const event of quietAfter(endpoints.any().watch(id, cursor, both), leave)) {
        cursor = event.cursor;
        if (event.kind === 'nothing') continue;
        part.push(event);
        onEvent(id, event);
        if (event.kind === 'build-ended') return parts;
        if (prng.below(LEAVES_ONE_IN) === 0) break;
      }
    } catch (error) {
      signal.throwIfAborted();
      if (isFault(error, 'BUILD_UNKNOWN')) return parts;
      if (isFault(error, 'CURSOR_EXPIRED')) {
        const snapshot = await endpoints.call((server, one) => server.snapshot(id, one), signal);
        cursor = snapshot.cursor;
        parts.push((part = []));
        if (snapshot.build.phase === 'ended') return parts;
      } else if (!isPassing(error)) throw error;
    } finally {
      leave.abort();
    }
    await sleep(20 + prng.below(200), undefined, { signal });
  }
}

/** A stopped coordinator says nothing, not even a sign of life: after so long the watcher goes elsewhere. */
const SILENCE_MS = 25_000;

async function* quietAfter(events: AsyncIterable<BuildEvent>, leave: AbortController): AsyncIterable<BuildEvent> {
  let timer = setTimeout(() => leave.abort(), SILENCE_MS);
  try {
    for await (const event of events) {
      clearTimeout(timer);
      yield event;
      timer = setTimeout(() => leave.abort(), SILENCE_MS);
    }
  } finally {
    clearTimeout(timer);
  }
}

async function readSnapshot(
  id: string,
  { endpoints, signal }: Pick<ClientOptions, 'endpoints' | 'signal'>,
): Promise<BuildSnapshot | undefined> {
  try {
    return await endpoints.call((server, one) => server.snapshot(id, one), signal);
  } catch (error) {
    if (isFault(error, 'BUILD_UNKNOWN')) return undefined;
    throw error;
  }
}

async function readHistory(id: string, options: Pick<ClientOptions, 'endpoints' | 'signal'>): Promise<readonly BuildEvent[] | undefined> {
  const { endpoints, signal } = options;
  try {
    return await endpoints.call(async (server, one) => {
      const events: BuildEvent[] = [];
      for await (const event of server.watch(id, '', one)) if (event.kind !== 'nothing') events.push(event);
      return events;
    }, signal);
  } catch (error) {
    // Redis was restarted between two of the events: from the beginning, since what counts is all of them.
    if (isFault(error, 'CURSOR_EXPIRED')) return readHistory(id, options);
    if (isFault(error, 'BUILD_UNKNOWN')) return undefined;
    throw error;
  }
}

/** What stands for a log that came with a gap: no log has it. */
const GAP = digestFrom('0'.repeat(64), 0);

/** The digest of a step's log as a reader gets it; undefined where it has none. */
async function readLog(
  build: string,
  step: string,
  { endpoints, signal }: Pick<ClientOptions, 'endpoints' | 'signal'>,
): Promise<Digest | undefined> {
  try {
    return await endpoints.call(async (server, one) => {
      const hash = createHash('sha256');
      let size = 0;
      for await (const { offset, data } of server.log({ build, step, attempt: 0, offset: 0, follow: true }, one)) {
        if (offset !== size) return GAP;
        hash.update(data);
        size += data.byteLength;
      }
      return digestFrom(hash.digest('hex'), size);
    }, signal);
  } catch (error) {
    if (isFault(error, 'LOG_UNKNOWN')) return undefined;
    throw error;
  }
}
