import { expect, test } from 'vitest';
import { present } from '../../base/assert.ts';
import { Fault, isFault } from '../../base/fault.ts';
import { silentLogger } from '../../base/log.ts';
import { until } from '../../test/fixtures/until.ts';
import type { Ledger, Term } from '../ledger/ledger.ts';
import { openMemoryLedger } from '../ledger/memory.ts';
import { keepLeading, type Lead } from './leadership.ts';

const never = new AbortController().signal;

function world() {
  let time = 0;
  const clock = { now: () => time, monotonic: () => time };
  const ledger = openMemoryLedger({ clock });
  return { env: { log: silentLogger, clock }, ledger, pass: (ms: number) => void (time += ms) };
}

async function termOf(ledger: Ledger, ttlMs: number): Promise<Term> {
  return present(await ledger.lead({ id: 'a', address: '' }, ttlMs, never), 'nobody else leads');
}

/** Why the lead was lost, once it is. */
async function whyLost(lead: Lead): Promise<Fault> {
  await until('the lead is lost', () => lead.lost.aborted);
  const fault: unknown = lead.lost.reason;
  if (!isFault(fault)) throw new Error('The lead was lost for no reason');
  return fault;
}

test('a coordinator whose term was taken over is told', async () => {
  const { env, ledger, pass } = world();
  const term = await termOf(ledger, 30);
  pass(31);
  present(await ledger.lead({ id: 'b', address: '' }, 60_000, never), 'the term is over');
  await using lead = keepLeading({ ledger, term, ttlMs: 30, contested: false, sentAt: 0, env });
  expect(await whyLost(lead)).toMatchObject({ code: 'LEDGER_FENCED' });
  expect(lead.holds()).toBe(false);
});

test('a ledger that does not answer is tried until the term is over, and no longer', async () => {
  const { env, ledger, pass } = world();
  const term = await termOf(ledger, 30);
  let tries = 0;
  const deaf: Ledger = Object.assign(Object.create(ledger), {
    renew: () => {
      tries += 1;
      pass(11);
      return Promise.reject(new Fault('LEDGER_UNAVAILABLE', 'no answer'));
    },
  });
  await using lead = keepLeading({ ledger: deaf, term, ttlMs: 30, contested: true, sentAt: 0, env });
  expect(await whyLost(lead)).toMatchObject({ code: 'LEDGER_UNAVAILABLE' });
  expect(tries).toBe(3);
});

test('a term that others may take is over a margin before its end, counted from when its renewal was sent', async () => {
  const { env, ledger, pass } = world();
  const term = await termOf(ledger, 1_000_000);
  pass(100);
  await using lead = keepLeading({ ledger, term, ttlMs: 1_000_000, contested: true, sentAt: 0, env });
  pass(799_899);
  expect(lead.holds()).toBe(true);
  pass(1);
  expect(lead.holds()).toBe(false);
  expect(await whyLost(lead)).toMatchObject({ code: 'LEDGER_UNAVAILABLE' });
});

test('a process that nobody can take the lead from keeps it however long it was stopped', async () => {
  const { env, ledger, pass } = world();
  const term = await termOf(ledger, 60);
  await using lead = keepLeading({ ledger, term, ttlMs: 60, contested: false, sentAt: 0, env });
  pass(100_000);
  expect(lead.holds()).toBe(true);
  await until('the term is renewed', () => lead.confirmedAt === 100_000);
  expect(lead.lost.aborted).toBe(false);
});

test('a lead that was given up is not taken up again by a renewal', async () => {
  const { env, ledger } = world();
  const term = await termOf(ledger, 30);
  await using lead = keepLeading({ ledger, term, ttlMs: 30, contested: true, sentAt: 0, env });
  lead.giveUp(new Fault('INTERNAL', 'broken'));
  expect(lead.holds()).toBe(false);
  expect(await whyLost(lead)).toMatchObject({ code: 'INTERNAL' });
});
