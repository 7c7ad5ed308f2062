import { expect, test } from 'vitest';
import { Bag, type InBag } from './bag.ts';
import { Batch } from './batch.ts';
import { Heap, type InHeap } from './heap.ts';

test('a batch hands out what was added and not dropped, once', () => {
  const batch = new Batch<number>();
  for (let item = 0; item < 2_000; item += 1) batch.add(item);
  batch.drop(1);
  expect(batch.take().slice(0, 3)).toEqual([0, 2, 3]);
  expect(batch.take()).toEqual([]);
  batch.add(7);
  const taken = batch.take();
  batch.add(8);
  expect(taken).toEqual([7]);
  expect(batch.take()).toEqual([8]);
});

test('a bag holds an item once and finds it wherever others have moved it', () => {
  const bag = new Bag<InBag>();
  const [first, second, third] = [{ bagAt: -1 }, { bagAt: -1 }, { bagAt: -1 }];
  for (const item of [first, second, third, second]) bag.add(item);
  bag.delete(first);
  bag.delete(first);
  expect(bag.size).toBe(2);
  expect([bag.has(first), bag.has(second), bag.has(third)]).toEqual([false, true, true]);
  expect(new Set([bag.at(0), bag.at(1)])).toEqual(new Set([second, third]));
  expect(bag.at(2)).toBeUndefined();
});

test('a heap that was emptied starts anew', () => {
  const heap = new Heap<InHeap & { readonly rank: number }>((left, right) => left.rank < right.rank);
  for (let round = 0; round < 2; round += 1) {
    const items = Array.from({ length: 1_500 }, (_, rank) => ({ heapAt: -1, rank }));
    for (const item of items.toReversed()) heap.push(item);
    expect(heap.items()).toHaveLength(1_500);
    for (const item of items) {
      expect(heap.peek()).toBe(item);
      heap.remove(item);
    }
    expect([heap.size, heap.peek()]).toEqual([0, undefined]);
  }
});
