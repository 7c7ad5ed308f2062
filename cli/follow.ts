import { setTimeout as sleep } from 'node:timers/promises';
import { backoffMs } from '../base/backoff.ts';
import type { Clock } from '../base/clock.ts';
import { Fault, FAULTS, isFault } from '../base/fault.ts';
import type { Prng } from '../base/prng.ts';
import type { BuildEvent, BuildSnapshot } from './build-view.ts';
import type { BuildServer } from './rpc/client.ts';
import { plainReason } from './session.ts';

/** What a follower sees, in order. */
export type Followed =
  /** The whole build anew: at the beginning, and where the history that was missed is not kept any more. */
  | { readonly kind: 'snapshot'; readonly snapshot: BuildSnapshot }
  | { readonly kind: 'event'; readonly event: BuildEvent }
  /** The server cannot be reached; it is tried again. */
  | { readonly kind: 'lost'; readonly reason: string; readonly retryInMs: number }
  | { readonly kind: 'back' };

export type FollowOptions = {
  readonly clock: Clock;
  readonly prng: Prng;
  /** How long the server may be away at one go. */
  readonly patienceMs: number;
};

const BACKOFF = { initialMs: 200, maxMs: 3_000 };

/** Whether a later try may succeed: the server is away, starting or stopping, or the connection broke. */
export function isPassing(error: unknown): error is Fault {
  return isFault(error) && (FAULTS[error.code].retry === 'backoff' || error.code === 'CANCELLED');
}

/**
 * A build from now to its end, whatever happens to the connection: it resumes at the last cursor seen. Ends after the build
 * has. @throws {Fault} PEER_UNAVAILABLE where the server stayed away for longer than `patienceMs`; what else it answers.
 */
export async function* follow(
  server: BuildServer,
  build: string,
  options: FollowOptions,
  signal: AbortSignal,
): AsyncGenerator<Followed, void, void> {
  let cursor: string | undefined;
  const patience = new Patience(options);
  for (;;) {
    try {
      if (cursor === undefined) {
        const snapshot = await server.snapshot(build, signal);
        if (patience.over()) yield { kind: 'back' };
        yield { kind: 'snapshot', snapshot };
        if (snapshot.build.phase === 'ended') return;
        cursor = snapshot.cursor;
      }
      for await (const event of server.watch(build, cursor, signal)) {
        if (patience.over()) yield { kind: 'back' };
        cursor = event.cursor;
        yield { kind: 'event', event };
        if (event.kind === 'build-ended') return;
      }
      // The server ended the stream in good order, as it does when it stops: what is next, a snapshot says.
      cursor = undefined;
    } catch (error) {
      if (signal.aborted) throw error;
      if (isFault(error, 'CURSOR_EXPIRED')) cursor = undefined;
      else if (isPassing(error)) yield* patience.wait(error, signal);
      else throw error;
    }
  }
}

/** Counts how long the server has been away. */
class Patience {
  readonly #options: FollowOptions;
  #since: number | undefined;
  #tries = 0;

  constructor(options: FollowOptions) {
    this.#options = options;
  }

  /** Whether the server had been away until now. */
  over(): boolean {
    const was = this.#since !== undefined;
    this.#since = undefined;
    this.#tries = 0;
    return was;
  }

  async *wait(error: Fault, signal: AbortSignal): AsyncGenerator<Followed, void, void> {
    const now = this.#options.clock.monotonic();
    this.#since ??= now;
    if (now - this.#since > this.#options.patienceMs) {
      const seconds = Math.round(this.#options.patienceMs / 1_000);
      throw new Fault('PEER_UNAVAILABLE', `The server has not answered for ${seconds} s: ${plainReason(error)}`, { cause: error });
    }
    const retryInMs = Math.max(100, (error.retryAfterMs ?? 0) + backoffMs(BACKOFF, this.#tries, this.#options.prng));
    this.#tries += 1;
    yield { kind: 'lost', reason: plainReason(error), retryInMs };
    await sleep(retryInMs, undefined, { signal });
  }
}
