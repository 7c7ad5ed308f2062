import { expect, it } from 'vitest';
import { present } from '../../base/assert.ts';
import { ledgerContract, loadAll } from '../../test/contract/ledger.ts';
import { buildNumber, eventRecord, holdRecord } from '../../test/contract/ledger-records.ts';
import { sharedLedgerContract } from '../../test/contract/shared-ledger.ts';
import { openMemoryLedger, type MemoryLedger } from './memory.ts';

ledgerContract({ name: 'memory', open: async (clock) => openMemoryLedger({ clock }), reopen: undefined });

let time = 0;
sharedLedgerContract({
  name: 'memory',
  async open() {
    const ledger = openMemoryLedger({ clock: { now: () => time, monotonic: () => time } });
    return { first: ledger, second: ledger, [Symbol.asyncDispose]: () => ledger[Symbol.asyncDispose]() };
  },
  ttlMs: 3_000,
  pass: async (ms) => void (time += ms),
  async checkpoint({ first }) {
    if (!('loseSuffix' in first)) throw new Error('not a memory ledger');
    const ledger = first as MemoryLedger; // has just been looked at
    const { commitCount } = ledger;
    return async () => ledger.loseSuffix(ledger.commitCount - commitCount);
  },
});

const signal = new AbortController().signal;

it('a lost suffix takes the newest commits, the term and the incarnation with it', async () => {
  await using ledger = openMemoryLedger();
  const term = present(await ledger.lead({ id: 'a', address: '' }, 1_000, signal), 'free');
  const before = await ledger.incarnation(signal);
  await ledger.commit(term, [holdRecord('agent:a', 'kept'), eventRecord(buildNumber(1), 1)], signal);
  await ledger.commit(term, [holdRecord('agent:a', 'lost'), eventRecord(buildNumber(1), 2)], signal);
  ledger.loseSuffix(1);
  expect(ledger.commitCount).toBe(1);
  expect(await loadAll(ledger)).toEqual([holdRecord('agent:a', 'kept')]);
  expect((await ledger.events(buildNumber(1), 0, 9, signal)).map(({ seq }) => seq)).toEqual([1]);
  expect(await ledger.incarnation(signal)).not.toBe(before);
  await expect(ledger.commit(term, [], signal)).rejects.toMatchObject({ code: 'LEDGER_FENCED' });
});
