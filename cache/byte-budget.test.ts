import { describe, expect, test } from 'vitest';
import { ByteBudget, forEachWithin } from './byte-budget.ts';

const { signal } = new AbortController();
const turn = () => new Promise((resolve) => void setImmediate(resolve));

describe('a byte budget', () => {
  test('lets in what fits, in the order in which it came', async () => {
    const budget = new ByteBudget(10);
    const order: string[] = [];
    const first = await budget.take(8, signal);
    const large = budget.take(5, signal).then((room) => (order.push('large'), room));
    const small = budget.take(1, signal).then((room) => (order.push('small'), room));
    await turn();
    expect(order).toEqual([]);
    first[Symbol.dispose]();
    first[Symbol.dispose]();
    await Promise.all([large, small]);
    expect(order).toEqual(['large', 'small']);
  });

  test('lets in alone what is larger than all of it', async () => {
    const budget = new ByteBudget(10);
    const huge = await budget.take(1_000, signal);
    let entered = false;
    const next = budget.take(1, signal).then((room) => ((entered = true), room));
    await turn();
    expect(entered).toBe(false);
    huge[Symbol.dispose]();
    await next;
  });

  test('lets the next in when the one before it gives up', async () => {
    const budget = new ByteBudget(10);
    await budget.take(8, signal);
    const stop = new AbortController();
    const large = budget.take(5, stop.signal);
    const small = budget.take(2, signal);
    stop.abort(new Error('gave up'));
    await expect(large).rejects.toThrow('gave up');
    await small;
    await expect(budget.take(1, AbortSignal.abort(new Error('too late')))).rejects.toThrow('too late');
  });
});

describe('work within a budget', () => {
  test('gives other work its turn, also where none of it waits for anything', async () => {
    let done = 0;
    const seen: number[] = [];
    const look = () => void (seen.push(done), done < 1_000 && setImmediate(look));
    setImmediate(look);
    await forEachWithin(
      Array.from({ length: 1_000 }),
      1_000_000,
      () => 1,
      async () => void (done += 1),
      signal,
    );
    expect(seen.filter((count) => count > 0 && count < 1_000).length).toBeGreaterThan(3);
  });

  test('never has more under way than fits, and does all of it', async () => {
    let [now, most, done] = [0, 0, 0];
    const items = Array.from({ length: 50 }, (_, index) => (index % 4) + 1);
    const work = async (bytes: number) => {
      now += bytes;
      most = Math.max(most, now);
      await turn();
      now -= bytes;
      done += 1;
    };
    await forEachWithin(items, 8, (bytes) => bytes, work, signal);
    expect([done, now]).toEqual([50, 0]);
    expect(most).toBeGreaterThan(4);
    expect(most).toBeLessThanOrEqual(8);
  });

  test('stops at the first error, once everything under way has ended', async () => {
    const seen: number[] = [];
    let running = 0;
    const work = async (item: number, stop: AbortSignal) => {
      seen.push(item);
      running += 1;
      await turn();
      running -= 1;
      if (item === 3) throw new Error('the third failed');
      stop.throwIfAborted();
    };
    await expect(forEachWithin([1, 2, 3, 4, 5, 6, 7, 8, 9], 2, () => 1, work, signal)).rejects.toThrow('the third failed');
    expect(running).toBe(0);
    expect(seen.length).toBeLessThan(9);
  });
});
