import { expect, test } from 'vitest';
import { callBidi } from './dial.ts';
import { chunksOf, converse, faultOf, mapped, never, start } from '../test/fixtures/plain-calls.ts';

test('a server that ends a bidirectional call ends requests that wait for something to send', async () => {
  const ended = Promise.withResolvers<void>();
  const { agentClient } = await start({
    async *session() {
      yield 1;
    },
  });
  const requests: AsyncIterable<object> = {
    [Symbol.asyncIterator]: () => ({
      next: () => new Promise(() => {}),
      return: async () => {
        ended.resolve();
        return { done: true, value: undefined };
      },
    }),
  };
  expect(await converse(agentClient, requests)).toHaveLength(1);
  await ended.promise;
});

test('a bidirectional call carries both ways until both have ended', async () => {
  const { agentClient } = await start({ session: (counts) => mapped(counts, (count) => count * 2) });
  async function* batches() {
    yield { messages: [{ heartbeat: {} }] };
    yield { messages: [{ heartbeat: {} }, { heartbeat: {} }] };
  }
  const answers = await converse(agentClient, batches());
  expect(answers.map(({ messages }) => messages.length)).toEqual([2, 4]);
  expect(answers[0]?.messages[0]?.kind).toBe('drain');
});

test('a conversation whose listener throws ends with that error, and nothing more is taken', async () => {
  const over = Promise.withResolvers<void>();
  const { agentClient } = await start({
    async *session(_counts, { signal }) {
      signal.addEventListener('abort', () => over.resolve());
      for (let count = 1; ; count += 1) yield count;
    },
  });
  let taken = 0;
  const talk = callBidi(
    agentClient,
    'Session',
    mapped(chunksOf(1, 1), () => ({ messages: [] })),
    { signal: never },
    () => {
      taken += 1;
      if (taken === 3) throw new Error('enough');
    },
  );
  await expect(talk).rejects.toThrow('enough');
  await over.promise;
  expect(taken).toBe(3);
});

test('a conversation that is given up rejects at once, and the other side hears of it', async () => {
  const over = Promise.withResolvers<void>();
  const { agentClient } = await start({
    async *session(_counts, { signal }) {
      signal.addEventListener('abort', () => over.resolve());
      yield 1;
      await over.promise;
    },
  });
  const controller = new AbortController();
  const waits: AsyncIterable<object> = { [Symbol.asyncIterator]: () => ({ next: () => new Promise(() => {}) }) };
  const talk = faultOf(callBidi(agentClient, 'Session', waits, { signal: controller.signal }, () => controller.abort()));
  expect((await talk).code).toBe('CANCELLED');
  await over.promise;
});
