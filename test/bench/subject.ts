import { setTimeout as delay } from 'node:timers/promises';
import { prngFrom } from '../../base/prng.ts';
import { hostMicros } from './host-micros.ts';

/** What became of units of work that were given out one by one. */
export type OpenLoop = {
  /** From just before the submission to the start in the worker, in milliseconds. */
  readonly latenciesMs: readonly number[];
  /** Never started, and started more than once. */
  readonly lost: number;
  readonly doubled: number;
};

export type Drain = { readonly seconds: number; readonly lost: number; readonly doubled: number };

/** Something that takes units of work and has workers start them: ours, the floor, a peer. */
export interface Subject extends AsyncDisposable {
  readonly name: string;
  /** Submits at random, `rate` a second, without waiting for answers. */
  openLoop(rate: number, seconds: number): Promise<OpenLoop>;
  /** Submits all at once and waits for the last one's end; undefined where there is no such thing. */
  readonly drain: ((count: number) => Promise<Drain>) | undefined;
}

/** When units were started, told by worker processes of this host. */
export class Starts {
  readonly #at = new Map<string, number>();
  #doubled = 0;

  note(key: string, atMicros: number): void {
    if (this.#at.has(key)) this.#doubled += 1;
    else this.#at.set(key, atMicros);
  }

  at(key: string): number | undefined {
    return this.#at.get(key);
  }

  get count(): number {
    return this.#at.size;
  }

  get doubled(): number {
    return this.#doubled;
  }

  clear(): void {
    this.#at.clear();
    this.#doubled = 0;
  }
}

/** How long stragglers are waited for; what has not started then is lost. */
const STRAGGLERS_MS = 10_000;

/** Runs an open loop: `submit` sends one unit, and answers with the key under which its start will be told. */
export async function openLoop(starts: Starts, submit: () => Promise<string>, rate: number, seconds: number): Promise<OpenLoop> {
  starts.clear();
  const prng = prngFrom(rate);
  const submissions: Promise<{ readonly key: string; readonly at: number }>[] = [];
  const begun = hostMicros();
  let due = begun;
  while (due - begun < seconds * 1e6) {
    const waitMs = (due - hostMicros()) / 1000;
    if (waitMs > 0) await delay(waitMs);
    const at = hostMicros();
    submissions.push(submit().then((key) => ({ key, at })));
    due += (-Math.log(1 - prng.next()) / rate) * 1e6;
  }
  const accepted = await Promise.all(submissions);
  await untilStarted(starts, accepted.length);
  await delay(100); // the workers tell of their starts in bundles: a second start of one may still be on its way
  const latenciesMs = accepted.flatMap(({ key, at }) => {
    const started = starts.at(key);
    return started === undefined ? [] : [(started - at) / 1000];
  });
  return { latenciesMs, lost: accepted.length - latenciesMs.length, doubled: starts.doubled };
}

/** Returns once so many units have started, or when stragglers have been waited for long enough. */
export async function untilStarted(starts: Starts, count: number): Promise<void> {
  const deadline = hostMicros() + STRAGGLERS_MS * 1000;
  while (starts.count < count && hostMicros() < deadline) await delay(10);
}
