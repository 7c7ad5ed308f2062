import { expect, test } from 'vitest';
import { Fault } from '../../base/fault.ts';
import { until } from '../../test/fixtures/until.ts';
import { AdaptiveQueue } from './adaptive-queue.ts';

const never = new AbortController().signal;

/** Requests that end when the test says so, oldest first. */
function endpoint(queue: AdaptiveQueue) {
  const open: PromiseWithResolvers<void>[] = [];
  const flow = { most: 0 };
  const ends: Promise<unknown>[] = [];
  return {
    open,
    flow,
    ask(count: number, signal = never) {
      for (let number = 0; number < count; number += 1) {
        const request = Promise.withResolvers<void>();
        const work = () => {
          open.push(request);
          flow.most = Math.max(flow.most, open.length);
          return request.promise;
        };
        ends.push(queue.run(work, signal).catch((error: unknown) => error));
      }
    },
    /** Lets requests succeed, all that are under way together, until so many are. */
    async widen(width: number) {
      while (queue.width < width) {
        await this.end(queue.width);
        await until('the next ones are under way', () => open.length === queue.width);
      }
    },
    /** Of the requests that are under way so many end. */
    async end(count: number, error?: Error) {
      await until('they are under way', () => open.length >= count);
      for (const request of open.splice(0, count)) {
        if (error === undefined) request.resolve();
        else request.reject(error);
      }
    },
    /** What all that were asked came to. */
    async ended() {
      return await Promise.all(ends);
    },
  };
}

const refusal = () => new Fault('STORE_UNAVAILABLE', 'slow down');

test('begins with few, and takes one more after each round of successes while others wait, up to its most', async () => {
  const queue = new AdaptiveQueue(2, 5);
  const at = endpoint(queue);
  at.ask(40);
  const widths: number[] = [];
  for (let round = 0; round < 6; round += 1) {
    widths.push(queue.width);
    await at.end(queue.width);
    await until('the next ones are under way', () => at.open.length === queue.width);
  }
  expect(widths, 'when the very first one began, no other was waiting yet').toEqual([2, 2, 3, 4, 5, 5]);
  while (at.open.length > 0) {
    await at.end(at.open.length);
    await new Promise(setImmediate);
  }
  expect((await at.ended()).filter((end) => end !== undefined)).toEqual([]);
  expect(at.flow.most).toBe(5);
});

test('successes of which none had others waiting widen nothing', async () => {
  const queue = new AdaptiveQueue(2, 8);
  for (let number = 0; number < 50; number += 1) expect(await queue.run(async () => number, never)).toBe(number);
  expect(queue.width).toBe(2);
});

test('a refusal halves it, many of one round halve it once, and it is never less than its least', async () => {
  const queue = new AdaptiveQueue(2, 8);
  const at = endpoint(queue);
  at.ask(200);
  await at.widen(8);
  await at.end(8, refusal());
  await until('fewer are under way', () => at.open.length === 4);
  expect(queue.width).toBe(4);
  await at.end(4, refusal());
  await until('fewer are under way', () => at.open.length === 2);
  await at.end(2, refusal());
  await until('the next ones are under way', () => at.open.length === 2);
  expect(queue.width).toBe(2);
});

test('what is wrong with a request alone says nothing of the endpoint', async () => {
  const queue = new AdaptiveQueue(2, 8);
  const at = endpoint(queue);
  at.ask(20);
  await at.widen(3);
  await at.end(3, new Fault('OBJECT_UNKNOWN', 'there is none'));
  await until('three others are under way', () => at.open.length === 3);
  expect(queue.width).toBe(3);
});

test('a request that waits can be given up, and does not begin any more', async () => {
  const queue = new AdaptiveQueue(1, 1);
  const at = endpoint(queue);
  const stop = new AbortController();
  at.ask(1);
  at.ask(1, stop.signal);
  at.ask(1);
  await until('one is under way', () => at.open.length === 1);
  stop.abort(new Error('given up'));
  await at.end(1);
  await at.end(1);
  expect(await at.ended()).toEqual([undefined, expect.objectContaining({ message: 'given up' }), undefined]);
});
