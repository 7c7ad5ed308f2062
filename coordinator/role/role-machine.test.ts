import { afterEach, beforeEach, expect, test } from 'vitest';
import { present } from '../../base/assert.ts';
import { systemClock } from '../../base/clock.ts';
import { Fault } from '../../base/fault.ts';
import { memoryLogger, silentLogger } from '../../base/log.ts';
import { memoryDataPlane } from '../../test/integration/memory-data-plane.ts';
import { until } from '../../test/fixtures/until.ts';
import type { Event } from '../core/event.ts';
import { parseBuildId } from '../core/ids.ts';
import type { Leader, Ledger } from '../ledger/ledger.ts';
import { openMemoryLedger, type MemoryLedger } from '../ledger/memory.ts';
import { openHintFeed } from '../shell/hint-feed.ts';
import { DEFAULT_LOG_LIMITS } from '../shell/logs.ts';
import { startShell, type Shell } from '../shell/shell.ts';
import { openRoleMachine, type RoleLedger } from './role-machine.ts';
import type { RoleMachine } from './role.ts';

const BUILD = present(parseBuildId(`b-${'0'.repeat(26)}`), 'a valid id');
const hold = (reason: string): Event => ({
  kind: 'hold-placed',
  target: 'agent:a',
  hold: 'pause',
  reason,
  by: 'test',
  expiresAt: undefined,
});

let ledger: MemoryLedger;
let stack: AsyncDisposableStack;

beforeEach(() => {
  ledger = openMemoryLedger();
  stack = new AsyncDisposableStack();
});

afterEach(() => stack.disposeAsync());

/** A coordinator whose clock can be moved on, as its being stopped does; `open` counts its shells that have not ended. */
function coordinator(id: string, over: { ttlMs?: number; on?: RoleLedger; recovery?: () => Promise<void> } = {}) {
  const { ttlMs = 300 } = over;
  let aheadMs = 0;
  const clock = { now: () => systemClock.now() + aheadMs, monotonic: () => systemClock.monotonic() + aheadMs };
  const log = memoryLogger();
  const env = { log, clock };
  const count = { open: 0, most: 0, started: 0 };
  const own = over.on ?? { kind: 'shared', ledger, hints: stack.use(openHintFeed(ledger, silentLogger)) };
  const machine = stack.use(
    openRoleMachine({
      ledger: own,
      ttlMs,
      env,
      seed: 1,
      startShell: async (lead, signal) => {
        count.open += 1;
        count.started += 1;
        count.most = Math.max(count.most, count.open);
        await over.recovery?.();
        const data = memoryDataPlane();
        const common = { term: lead.term, holds: () => lead.holds(), signal, data, timings: {}, logLimits: DEFAULT_LOG_LIMITS, env };
        const shell = await startShell({ ledger: own.ledger, ...common, signOfLifeMs: 20_000 });
        let ended = false;
        const end = async () => {
          await shell[Symbol.asyncDispose]();
          if (!ended) count.open -= 1;
          ended = true;
        };
        return { ...shell, [Symbol.asyncDispose]: end };
      },
    }),
  );
  machine.start({ id, address: `${id}:1` });
  return { machine, count, log, sleep: (ms: number) => void (aheadMs += ms) };
}

async function leads(machine: RoleMachine): Promise<Shell> {
  return until('it leads', () => {
    const role = machine.current();
    return role.kind === 'leading' && role.shell;
  });
}

const follows = (machine: RoleMachine, id: string) =>
  until(`it follows ${id}`, () => {
    const role = machine.current();
    return role.kind === 'following' && role.leader?.id === id;
  });

test('one leads, the other follows it; when the leader stops, the follower leads at once and not only at its next look', async () => {
  const a = coordinator('a', { ttlMs: 600_000 });
  const shell = await leads(a.machine);
  const b = coordinator('b', { ttlMs: 600_000 });
  expect(await b.machine.known(10_000, new AbortController().signal)).toMatchObject({ kind: 'following', leader: { address: 'a:1' } });
  const pending = shell.driver.submit(hold('last words'));
  await a.machine[Symbol.asyncDispose]();
  expect(await pending).toEqual({ kind: 'done' });
  const next = await leads(b.machine);
  expect(next.core.holds()).toMatchObject([{ reason: 'last words' }]);
  expect(await a.machine.ended).toBeUndefined();
  await expect(shell.driver.submit(hold('late'))).rejects.toMatchObject({ code: 'DRAINING' });
});

test('a leader that was stopped for longer than its term changes nothing when it goes on, and follows the one that took over', async () => {
  const a = coordinator('a', { ttlMs: 2_000 });
  const stale = await leads(a.machine);
  await stale.driver.submit(hold('before'));
  const over = present(a.machine.current(), 'a role').over;
  // The others wait out the term; the one that was stopped only finds its clock far on.
  ledger.loseSuffix(0);
  const b = coordinator('b', { ttlMs: 600_000 });
  await leads(b.machine);
  const commits = ledger.commitCount;
  a.sleep(5_000);
  await expect(stale.driver.submit(hold('after'))).rejects.toMatchObject({ code: 'LEDGER_UNAVAILABLE' });
  await expect(stale.driver.append([])).rejects.toMatchObject({ code: 'LEDGER_UNAVAILABLE' });
  await follows(a.machine, 'b');
  expect(over.aborted).toBe(true);
  expect(ledger.commitCount).toBe(commits);
  expect(a.count).toMatchObject({ open: 0, started: 1 });
});

test('a leader that is fenced ends its shell, and may lead again in the same process, never with two shells', async () => {
  const a = coordinator('a');
  for (let round = 1; round <= 5; round += 1) {
    const shell = await until('it leads anew', () => {
      const role = a.machine.current();
      return a.count.started === round && role.kind === 'leading' && role.shell;
    });
    ledger.loseSuffix(0);
    await expect(shell.driver.submit(hold(`round ${round}`))).rejects.toMatchObject({ code: 'LEDGER_UNAVAILABLE' });
  }
  await until('it leads a last time', () => a.count.started === 6);
  expect(a.count.most).toBe(1);
});

test('the term is renewed while the ledger is still being loaded', async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const a = coordinator('a', { recovery: () => promise });
  await until('it took the lead', () => a.log.entries.some(({ event }) => event === 'lead-taken'));
  const b = coordinator('b');
  await follows(b.machine, 'a');
  const since = systemClock.monotonic();
  await until('several terms have passed', () => systemClock.monotonic() - since > 1_000);
  expect(b.count.started).toBe(0);
  resolve();
  await leads(a.machine);
});

test('a recovery that takes so long that the term is lost does not lead', async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const a = coordinator('a', { recovery: () => promise });
  await until('it took the lead', () => a.log.entries.some(({ event }) => event === 'lead-taken'));
  ledger.loseSuffix(0);
  const b = coordinator('b', { ttlMs: 600_000 });
  await leads(b.machine);
  a.sleep(5_000);
  resolve();
  await follows(a.machine, 'b');
  expect(a.log.entries.some(({ event }) => event === 'leading')).toBe(false);
});

test('a core that breaks ends the process: the same records would break it again', async () => {
  const a = coordinator('a');
  const shell = await leads(a.machine);
  shell.driver.stepDown(new Fault('INTERNAL', 'an invariant is broken'));
  expect(await a.machine.ended).toMatchObject({ code: 'INTERNAL' });
});

test('on a ledger of its own a coordinator leads, and ends when it cannot any more', async () => {
  const away: Ledger = Object.assign(Object.create(ledger), {
    commit: () => Promise.reject(new Fault('LEDGER_UNAVAILABLE', 'the disk is full')),
  });
  const a = coordinator('a', { on: { kind: 'own', ledger: away } });
  const shell = await leads(a.machine);
  await expect(shell.driver.submit({ kind: 'build-cancelled', id: BUILD, by: '', reason: '' })).resolves.toMatchObject({ kind: 'refused' });
  await expect(shell.driver.submit(hold('x'))).rejects.toMatchObject({ code: 'LEDGER_UNAVAILABLE' });
  expect(await a.machine.ended).toMatchObject({ code: 'LEDGER_UNAVAILABLE' });
  expect(a.count.open).toBe(0);
});

test('who asks for the role while nobody leads waits for a leader, but not for longer than it said', async () => {
  const never = new AbortController().signal;
  const term = present(await ledger.lead({ id: 'z', address: '' }, 600_000, never), 'nobody else leads');
  const { promise, resolve } = Promise.withResolvers<void>();
  const gone: Ledger = Object.assign(Object.create(ledger), { leader: async () => undefined });
  const shared = Object.assign(gone, { hints: ledger.hints.bind(ledger) });
  const a = coordinator('a', {
    on: { kind: 'shared', ledger: shared as MemoryLedger, hints: stack.use(openHintFeed(ledger, silentLogger)) },
    recovery: () => promise,
  });
  expect(await a.machine.known(30, never)).toMatchObject({ kind: 'following', leader: undefined });
  const asking = a.machine.known(60_000, never);
  await ledger.resign(term, never);
  resolve();
  expect(await asking).toMatchObject({ kind: 'leading' });
});

test('a follower whose leader leads no more sends nobody there, also while it cannot lead itself', async () => {
  const never = new AbortController().signal;
  let leader: Leader | undefined = { id: 'z', address: 'z:1' };
  const vacant: MemoryLedger = Object.assign(Object.create(ledger), { leader: async () => leader, lead: async () => undefined });
  const a = coordinator('a', { ttlMs: 60, on: { kind: 'shared', ledger: vacant, hints: stack.use(openHintFeed(ledger, silentLogger)) } });
  await follows(a.machine, 'z');
  leader = undefined;
  await until('nobody is known to lead', () => {
    const role = a.machine.current();
    return role.kind === 'following' && role.leader === undefined;
  });
  const asking = a.machine.known(60_000, never);
  leader = { id: 'y', address: 'y:1' };
  expect(await asking).toMatchObject({ leader: { id: 'y' } });
});

test('a coordinator that is told to stop does not wait for ever for a ledger that takes nothing', async () => {
  const { promise, reject } = Promise.withResolvers<void>();
  promise.catch(() => {});
  const full: MemoryLedger = Object.assign(Object.create(ledger), { commit: () => promise });
  const a = coordinator('a', { on: { kind: 'shared', ledger: full, hints: stack.use(openHintFeed(ledger, silentLogger)) } });
  const shell = await leads(a.machine);
  const pending = shell.driver.submit(hold('last words'));
  const stopped = a.machine[Symbol.asyncDispose]();
  await expect(pending).rejects.toMatchObject({ code: 'LEDGER_UNAVAILABLE' });
  expect(a.log.entries.map(({ event }) => event)).toContain('not-drained');
  reject(new Fault('LEDGER_UNAVAILABLE', 'the term is over')); // as a ledger does by itself, once nobody renews the term
  await stopped;
  expect(a.count.open).toBe(0);
});

test('how long ago the ledger answered counts the renewals of a lead that is over', async () => {
  let away = false;
  const leader = (signal: AbortSignal) => (away ? Promise.reject(new Fault('LEDGER_UNAVAILABLE', 'away')) : ledger.leader(signal));
  const hints = stack.use(openHintFeed(ledger, silentLogger));
  const a = coordinator('a', { ttlMs: 600, on: { kind: 'shared', ledger: { ...ledger, leader }, hints } });
  const shell = await leads(a.machine);
  const since = systemClock.monotonic();
  await until('the term is renewed', () => a.machine.ledgerAnsweredAt > since);
  const renewedAt = a.machine.ledgerAnsweredAt;
  away = true;
  shell.driver.stepDown(new Fault('LEDGER_UNAVAILABLE', 'gone'));
  await until('the shell has ended', () => a.count.open === 0);
  expect(a.machine.ledgerAnsweredAt).toBeGreaterThanOrEqual(renewedAt);
});
