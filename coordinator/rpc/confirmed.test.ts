import { expect, test } from 'vitest';
import { confirmed } from './confirmed.ts';

test('what the ledger confirms is returned, and its refusal is passed on', async () => {
  expect(await confirmed({ behindMs: 0 }, async () => 7)).toBe(7);
  await expect(confirmed({ behindMs: 2_999 }, () => Promise.reject(new Error('no')))).rejects.toThrow('no');
});

test('nothing is begun while the ledger is silent, and the caller learns for how long it has been', async () => {
  let begun = 0;
  const refused = confirmed({ behindMs: 7_400 }, async () => (begun += 1));
  await expect(refused).rejects.toMatchObject({
    code: 'LEDGER_UNAVAILABLE',
    message: expect.stringContaining('for 7 s'),
    retryAfterMs: 2_000,
  });
  expect(begun).toBe(0);
});

test('who waits already is told that the fate is unknown, and how to find out', async () => {
  const waiting = confirmed({ behindMs: 0 }, () => new Promise(() => {}), 20);
  await expect(waiting).rejects.toMatchObject({ code: 'LEDGER_UNAVAILABLE', hint: expect.stringContaining('same key') });
});
