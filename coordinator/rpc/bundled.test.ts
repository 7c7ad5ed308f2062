import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { bundled } from './bundled.ts';

async function all<T>(bundles: AsyncIterable<readonly T[]>): Promise<readonly (readonly T[])[]> {
  const seen: (readonly T[])[] = [];
  for await (const bundle of bundles) seen.push(bundle);
  return seen;
}

it('puts together what is there at once, and keeps the order', async () => {
  async function* items() {
    yield* [1, 2, 3];
    await nextTurn();
    await nextTurn();
    yield 4;
  }
  expect(await all(bundled(items(), () => 1, 64))).toEqual([[1, 2, 3], [4]]);
});

it('ends a bundle that weighs enough', async () => {
  async function* items() {
    yield* [1, 5, 1, 1, 1];
  }
  expect(await all(bundled(items(), (item) => item, 3))).toEqual([
    [1, 5],
    [1, 1, 1],
  ]);
});

it('hands out what came before a failure, then fails', async () => {
  async function* items() {
    yield* [1, 2];
    throw new Error('broken');
  }
  const bundles = bundled(items(), () => 1, 64);
  expect(await bundles.next()).toEqual({ done: false, value: [1, 2] });
  await expect(bundles.next()).rejects.toThrow('broken');
});

it('ends its source when nobody wants more', async () => {
  const ended = Promise.withResolvers<void>();
  async function* items() {
    try {
      for (let item = 0; ; item += 1) yield item;
    } finally {
      ended.resolve();
    }
  }
  for await (const _bundle of bundled(items(), () => 1, 8)) break;
  await ended.promise;
});
