import { expect, test } from 'vitest';
import { Turns } from './turns.ts';

test('lets other work in between, however many callers come at once', async () => {
  const turns = new Turns(10);
  const order: string[] = [];
  let over = false;
  const others = (): void => {
    order.push('other');
    if (!over) setImmediate(others);
  };
  setImmediate(others);
  await Promise.all(
    Array.from({ length: 95 }, async () => {
      await turns.take();
      order.push('piece');
    }),
  );
  over = true;
  const rows = order.join(' ').split('other');
  expect(Math.max(...rows.map((row) => row.split('piece').length - 1))).toBe(10);
  expect(order.filter((what) => what === 'piece')).toHaveLength(95);
});
