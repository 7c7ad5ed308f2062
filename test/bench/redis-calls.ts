import { once } from 'node:events';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { Worker } from 'node:worker_threads';
import { Redis } from 'ioredis';

/** The slowest that a Redis did while something went on. Times in milliseconds. */
export type SlowestCall = {
  /** By Redis' own measure of a single command or script, without waiting for its turn. */
  readonly callMs: number;
  readonly call: string;
  /** What another client waited for a PING at most: stalls of the host count. */
  readonly pingMs: number;
  /** The longest that this process did nothing else. */
  readonly stallMs: number;
};

/** Number, time, microseconds, words of the call; more follows. */
type SlowlogEntry = readonly [number, number, number, readonly string[]];

/** Watches a Redis through its SLOWLOG, whose settings it changes, and with PINGs of a thread of its own. */
export async function watchRedis(url: string): Promise<AsyncDisposable & { during<T>(work: () => Promise<T>): Promise<[T, SlowestCall]> }> {
  const admin = new Redis(url);
  const pinger = new Worker(new URL('redis-pinger.ts', import.meta.url), { workerData: url });
  const longestPing = async (): Promise<number> => {
    pinger.postMessage('');
    const [answer]: unknown[] = await once(pinger, 'message');
    return Number(answer);
  };
  await admin.config('SET', 'slowlog-log-slower-than', '500');
  await admin.config('SET', 'slowlog-max-len', '10000');
  return {
    async during(work) {
      await admin.slowlog('RESET');
      await longestPing();
      const loop = monitorEventLoopDelay({ resolution: 2 });
      loop.enable();
      const result = await work();
      loop.disable();
      const pingMs = await longestPing();
      const entries = (await admin.slowlog('GET', 10_000)) as readonly SlowlogEntry[]; // as Redis documents it
      const slowest = entries.toSorted((a, b) => b[2] - a[2])[0];
      const call = slowest?.[3][0] ?? 'none over 0.5 ms';
      return [result, { callMs: (slowest?.[2] ?? 0) / 1000, call, pingMs, stallMs: loop.max / 1e6 }];
    },
    async [Symbol.asyncDispose]() {
      admin.disconnect();
      await pinger.terminate();
    },
  };
}
