import { expect, test } from 'vitest';
import { present } from '../../base/assert.ts';
import { Fault } from '../../base/fault.ts';
import { silentLogger } from '../../base/log.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { openMemoryLedger } from '../ledger/memory.ts';
import { keepLeading, takeLead } from './leadership.ts';

const never = new AbortController().signal;

function world() {
  let time = 0;
  const clock = { now: () => time, monotonic: () => time };
  const ledger = openMemoryLedger({ clock });
  return { env: { log: silentLogger, clock }, ledger, pass: (ms: number) => void (time += ms) };
}

test('the lead is taken once its holder has resigned', async () => {
  const { env, ledger } = world();
  const first = await takeLead(ledger, { id: 'a', address: '' }, 60, env, never);
  const waiting = takeLead(ledger, { id: 'b', address: '' }, 60, env, never);
  await ledger.resign(first, never);
  expect((await waiting).nonce).not.toBe(first.nonce);
});

test('a coordinator whose term was taken over is told', async () => {
  const { env, ledger, pass } = world();
  const term = await takeLead(ledger, { id: 'a', address: '' }, 30, env, never);
  pass(31);
  present(await ledger.lead({ id: 'b', address: '' }, 60_000, never), 'the term is over');
  const { promise, resolve } = Promise.withResolvers<Fault>();
  await using _leading = keepLeading({ ledger, term, ttlMs: 30, env, onLost: resolve });
  expect(await promise).toMatchObject({ code: 'LEDGER_FENCED' });
});

test('a ledger that does not answer is tried until the term is over, and no longer', async () => {
  const { env, ledger, pass } = world();
  const term = await takeLead(ledger, { id: 'a', address: '' }, 30, env, never);
  let tries = 0;
  const deaf: Ledger = Object.assign(Object.create(ledger), {
    renew: () => {
      tries += 1;
      pass(11);
      return Promise.reject(new Fault('LEDGER_UNAVAILABLE', 'no answer'));
    },
  });
  const { promise, resolve } = Promise.withResolvers<Fault>();
  await using _leading = keepLeading({ ledger: deaf, term, ttlMs: 30, env, onLost: resolve });
  expect(await promise).toMatchObject({ code: 'LEDGER_UNAVAILABLE' });
  expect(tries).toBe(3);
});
