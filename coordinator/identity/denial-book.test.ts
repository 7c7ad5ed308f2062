import { expect, test } from 'vitest';
import type { Identity } from '../../base/auth.ts';
import { memoryLogger } from '../../base/log.ts';
import { until } from '../../test/fixtures/until.ts';
import { openDenialBook } from './denial-book.ts';
import { openMemoryIdentityStore } from './memory-store.ts';
import type { IdentityStore } from './store.ts';

const agent: Identity = { kind: 'agent', name: 'c/p/a-1', cluster: 'c', pool: 'p', zone: 'trusted', id: 'a-1' };
const LOOK_MS = 5;

function book(store: IdentityStore, now: () => number = () => 1_000) {
  const log = memoryLogger();
  return { log, opened: openDenialBook(store, { log, clock: { now, monotonic: now } }, LOOK_MS) };
}
const denial = (subject: string, over: { readonly until?: number } = {}) => ({
  subject,
  reason: 'stolen',
  by: 'admin',
  at: 1_000,
  ...over,
});

test('what one coordinator denies another refuses, says to whom it concerns, and lets in again', async () => {
  await using store = openMemoryIdentityStore();
  await using one = await book(store).opened;
  await using other = await book(store).opened;
  let changes = 0;
  using _listening = other.onChange(() => void (changes += 1));
  await one.deny(denial('pool:c/p'));
  expect(one.refusal(agent)).toMatchObject({ code: 'UNAUTHENTICATED', message: 'pool:c/p was revoked by admin: stolen' });
  await until('the other knows', () => other.refusal(agent) !== undefined);
  expect(changes).toBe(1);
  expect(other.list()).toEqual([denial('pool:c/p')]);
  expect(await other.allow('pool:c/p')).toBe(true);
  expect(await other.allow('pool:c/p')).toBe(false);
  expect(other.refusal(agent)).toBeUndefined();
  await until('the first knows', () => one.refusal(agent) === undefined);
});

test('a denial ends with its time, and is not kept for longer', async () => {
  await using store = openMemoryIdentityStore();
  let now = 1_000;
  await using kept = await book(store, () => now).opened;
  await kept.deny(denial('cluster:c', { until: 2_000 }));
  expect(kept.refusal(agent)).toBeDefined();
  now = 2_000;
  expect(kept.refusal(agent)).toBeUndefined();
  await using _next = await book(store, () => now).opened;
  expect((await store.all('denials')).size).toBe(0);
});

test('who was denied before a start is refused from the first call on', async () => {
  await using store = openMemoryIdentityStore();
  {
    await using before = await book(store).opened;
    await before.deny(denial('agent:a-1'));
  }
  await using after = await book(store).opened;
  expect(after.refusal(agent)?.message).toContain('agent:a-1');
});

test('while the store is away what was read last holds, and that is said once', async () => {
  await using store = openMemoryIdentityStore();
  let failed = 0;
  let isAway = false;
  const version: IdentityStore['version'] = (table) => {
    if (!isAway) return store.version(table);
    failed += 1;
    return Promise.reject(new Error('away'));
  };
  const { log, opened } = book({ ...store, version });
  await using kept = await opened;
  await kept.deny(denial('agent:a-1'));
  isAway = true;
  await until('it was asked some times', () => failed > 3);
  expect(kept.refusal(agent)?.message).toContain('agent:a-1');
  expect(JSON.stringify(log.entries).match(/denials-not-reread/g)).toHaveLength(1);
  await store.remove('denials', 'agent:a-1');
  isAway = false;
  await until('it goes by the store again', () => kept.refusal(agent) === undefined);
});

test('there is an end to how many are denied', async () => {
  await using store = openMemoryIdentityStore();
  for (let index = 0; index < 10_000; index += 1)
    await store.put('denials', `agent:b-${index}`, JSON.stringify(denial(`agent:b-${index}`)));
  await using full = await book(store).opened;
  await expect(full.deny(denial('agent:a-1'))).rejects.toMatchObject({ code: 'LIMIT_EXCEEDED' });
  await full.allow('agent:b-0');
  await full.deny(denial('agent:a-1'));
  expect(full.refusal(agent)).toBeDefined();
});
