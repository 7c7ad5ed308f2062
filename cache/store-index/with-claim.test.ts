import { expect, test } from 'vitest';
import { handClock } from '../../test/fixtures/store-index.ts';
import { until } from '../../test/fixtures/until.ts';
import { memoryStoreIndex } from './memory.ts';
import { withClaim } from './with-claim.ts';

const { signal } = new AbortController();

test('a task is held for as long as its work takes, and for its lease after that', async () => {
  const clock = handClock();
  const index = memoryStoreIndex({ clock });
  const at = (holder: string, work: () => Promise<unknown>) => withClaim(index, { task: 't', holder, leaseMs: 30 }, work, signal);
  let claims = 0;
  const counted = { claim: (...call: Parameters<typeof index.claim>) => ((claims += 1), index.claim(...call)) };
  const did = await withClaim(
    counted,
    { task: 't', holder: 'x', leaseMs: 30 },
    async () => {
      for (let renewals = 0; renewals < 3; renewals += 1) {
        const before = claims;
        await until('it is renewed', () => claims > before);
        clock.pass(29);
        expect(await at('y', async () => expect.unreachable('another has it'))).toBe(false);
      }
    },
    signal,
  );
  expect(did).toBe(true);
  const known = claims;
  expect(await at('y', async () => {})).toBe(false);
  clock.pass(30);
  expect(await at('y', async () => {})).toBe(true);
  expect(claims).toBe(known);
});

test('what its work throws is thrown, and the task stays held for its lease', async () => {
  const clock = handClock();
  const index = memoryStoreIndex({ clock });
  const claim = { task: 't', holder: 'x', leaseMs: 30 };
  await expect(withClaim(index, claim, async () => Promise.reject(new Error('broken')), signal)).rejects.toThrow('broken');
  expect(await index.claim('t', 'y', 30, signal)).toBe(false);
});
