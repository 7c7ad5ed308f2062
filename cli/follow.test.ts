import { expect, test } from 'vitest';
import { systemClock } from '../base/clock.ts';
import { Fault } from '../base/fault.ts';
import { prngFrom } from '../base/prng.ts';
import { steadyLog } from './commands/logs.ts';
import { follow } from './follow.ts';
import type { BuildServer } from './rpc/client.ts';

const signal = new AbortController().signal;

/** A server that is stopping, and tells everybody the same. */
function stopping(retryAfterMs: number): BuildServer {
  const refuse = () => Promise.reject(new Fault('DRAINING', 'This coordinator is stopping', { retryAfterMs }));
  const server: Pick<BuildServer, 'snapshot'> = { snapshot: refuse };
  return server as BuildServer; // only a snapshot is asked for
}

/** When a follower that was told to come back later does so. */
async function firstWaitMs(seed: number): Promise<number> {
  const options = { clock: systemClock, prng: prngFrom(seed), patienceMs: 60_000 };
  for await (const followed of follow(stopping(1_000), 'b-1', options, signal)) if (followed.kind === 'lost') return followed.retryInMs;
  throw new Error('It was not lost');
}

test('followers that were refused together come back one after the other, none before it was told to', async () => {
  const waits = await Promise.all(Array.from({ length: 20 }, (_, seed) => firstWaitMs(seed + 1)));
  expect(Math.min(...waits)).toBeGreaterThanOrEqual(1_000);
  expect(new Set(waits).size).toBeGreaterThan(10);
});

test('a log goes on where its stream broke, byte for byte', async () => {
  const text = Buffer.from('one two three four');
  const asked: number[] = [];
  const server: Pick<BuildServer, 'log'> = {
    async *log({ offset }) {
      asked.push(offset);
      const end = Math.min(text.length, offset + 7);
      yield { offset, attempt: 1, data: text.subarray(offset, end), complete: end === text.length, truncated: false };
      if (end < text.length) throw new Fault('PEER_UNAVAILABLE', 'the connection broke');
    },
  };
  const query = { build: 'b-1', step: 'one', attempt: 0, offset: 0, follow: true };
  let got = '';
  const session = { prng: prngFrom(1), signal };
  // Only logs are asked for.
  for await (const { data } of steadyLog(server as BuildServer, query, session)) got += Buffer.from(data).toString();
  expect(got).toBe(text.toString());
  expect(asked).toEqual([0, 7, 14]);
});
