import { threadId } from 'node:worker_threads';
import { expect, it } from 'vitest';
import type { Counter } from '../test/fixtures/counting-thread.ts';
import { Fault } from './fault.ts';
import { startThread } from './thread.ts';

const start = (data: unknown) =>
  startThread<Counter>({
    module: new URL('../test/fixtures/counting-thread.ts', import.meta.url),
    data,
    closed: (cause) => new Fault('DRAINING', 'The counter is gone', { cause }),
  });

it('answers calls in their order, from another thread', async () => {
  const thread = await start(10);
  expect(await Promise.all([thread.call('add', 1), thread.call('add', 2), thread.call('add', 3)])).toEqual([11, 13, 16]);
  expect(await thread.call('threadId')).not.toBe(threadId);
  await thread.call('close');
  await thread.ended;
});

it('says why the object could not be opened', async () => {
  await expect(start('ten')).rejects.toMatchObject({ code: 'BAD_REQUEST', field: 'start', hint: 'Give a number.' });
});

it('hands on what a method throws, and goes on', async () => {
  const thread = await start(0);
  const detail = { field: 'count', hint: 'Take less.', retryAfterMs: 5 };
  await expect(thread.call('refuse', detail)).rejects.toMatchObject({ code: 'LIMIT_EXCEEDED', message: 'Enough', ...detail });
  await expect(thread.call('break')).rejects.toMatchObject({ code: 'INTERNAL', message: 'It failed: TypeError: broken' });
  expect(await thread.call('add', 1)).toBe(1);
  await thread.call('close');
});

it('refuses every call that waits, and every later one, once the thread has ended', async () => {
  const thread = await start(0);
  const waiting = [thread.call('die'), thread.call('add', 1)];
  const gone = { code: 'DRAINING', cause: expect.objectContaining({ message: expect.stringContaining('ended with 3') }) };
  for (const call of waiting) await expect(call).rejects.toMatchObject(gone);
  await thread.ended;
  await expect(thread.call('add', 1)).rejects.toMatchObject(gone);
});
