import { expect, test } from 'vitest';
import { silentLogger } from '../../base/log.ts';
import { Fault } from '../../base/fault.ts';
import type { Event } from '../core/event.ts';
import { parseBuildId, stepIdOf, type SessionId } from '../core/ids.ts';
import type { Outbound, Outcome } from '../core/outcome.ts';
import { present } from '../../base/assert.ts';
import type { LedgerRecord } from '../core/record.ts';
import { groupCommit } from '../ledger/group-commit.ts';
import type { GroupCommit } from '../ledger/group-commit.ts';
import { openMemoryLedger } from '../ledger/memory.ts';
import { startDriver, type Driver } from './driver.ts';

const BUILD = present(parseBuildId(`b-${'0'.repeat(26)}`), 'a valid id');
const NOTHING: Outcome = { writes: [], sends: [], reply: undefined, wakeAt: undefined };
const RECORD: LedgerRecord = { kind: 'build-forgotten', id: BUILD };
const cancelled = (by: string): Event => ({ kind: 'build-cancelled', id: BUILD, by, reason: '' });

/** A commit that the test lets through or fails by hand. */
function heldCommits() {
  const waiting: { resolve(): void; reject(error: unknown): void }[] = [];
  const commits: GroupCommit = {
    commit: () => new Promise<void>((resolve, reject) => waiting.push({ resolve, reject })),
    [Symbol.asyncDispose]: async () => {},
  };
  return { commits, waiting };
}

function start(
  apply: (event: Event) => Outcome,
  commits: GroupCommit,
  steps: string[],
  first: Outcome = NOTHING,
  holds: () => boolean = () => true,
) {
  let time = 1_000;
  const clock = { now: () => time, monotonic: () => time };
  const timers: { readonly at: number; readonly run: () => void }[] = [];
  const driver = startDriver({
    core: { apply: (event) => apply(event) },
    first,
    commits,
    clock,
    env: { log: silentLogger, clock },
    holds,
    after: (delayMs, run) => {
      const timer = { at: time + delayMs, run };
      timers.push(timer);
      return () => void timers.splice(timers.indexOf(timer), 1);
    },
    receivers: () => ({
      committed: (writes) => steps.push(`committed ${writes.length}`),
      send: (send) => steps.push(`send ${send.kind}`),
    }),
  });
  const pass = (toMs: number) => {
    time = toMs;
    for (const timer of timers.filter((due) => due.at <= toMs)) {
      timers.splice(timers.indexOf(timer), 1);
      timer.run();
    }
  };
  return { driver, pass, timers };
}

test('sends and replies leave only after the commit of their writes, and in the order of the events', async () => {
  const steps: string[] = [];
  const { commits, waiting } = heldCommits();
  const { driver } = start(
    (event) => ({
      ...NOTHING,
      writes: event.kind === 'build-cancelled' && event.by === 'writer' ? [RECORD] : [],
      sends: [
        { kind: 'forget-build', id: BUILD, tokens: [] },
        { kind: 'tell-agent', session: 's' as SessionId, message: { kind: 'drain', reason: 'over' } },
      ],
    }),
    commits,
    steps,
  );
  const first = driver.submit(cancelled('writer'), () => void steps.push('reply 1')).then(() => steps.push('settled 1'));
  const second = driver.submit(cancelled('reader'), () => void steps.push('reply 2'));
  await Promise.resolve();
  expect(steps).toEqual([]);
  expect(driver.backlog).toBe(2);
  waiting[0]?.resolve();
  await Promise.all([first, second]);
  const firstSteps = ['reply 1', 'send tell-agent', 'committed 1', 'send forget-build'];
  expect(steps).toEqual([...firstSteps, 'reply 2', 'send tell-agent', 'send forget-build', 'settled 1']);
  await driver[Symbol.asyncDispose]();
});

test('a resolution begins before the commit, so that its answer can go into it; nothing else does', async () => {
  const steps: string[] = [];
  const { commits, waiting } = heldCommits();
  const sends: readonly Outbound[] = [
    { kind: 'resolve', step: stepIdOf(BUILD, 'a') },
    { kind: 'forget-build', id: BUILD, tokens: [] },
  ];
  const { driver } = start(() => ({ ...NOTHING, writes: [RECORD], sends }), commits, steps);
  const submitted = driver.submit(cancelled('a'));
  expect(steps).toEqual(['send resolve']);
  waiting[0]?.resolve();
  await submitted;
  expect(steps).toEqual(['send resolve', 'committed 1', 'send forget-build']);
  await driver[Symbol.asyncDispose]();
});

test('a send may be prepared once its commit is under way, and is not when that is over', async () => {
  const steps: string[] = [];
  const { commits, waiting } = heldCommits();
  const clock = { now: () => 1, monotonic: () => 1 };
  const sends: readonly Outbound[] = [{ kind: 'forget-build', id: BUILD, tokens: [] }];
  await using driver = startDriver({
    core: { apply: () => ({ ...NOTHING, writes: [RECORD], sends }) },
    first: NOTHING,
    commits,
    clock,
    env: { log: silentLogger, clock },
    receivers: () => ({
      committed: () => {},
      send: () => void steps.push('send'),
      prepare: () => void steps.push('prepare'),
    }),
  });
  const turn = () => new Promise((resolve) => void setImmediate(resolve));
  driver.post(cancelled('a'));
  expect(steps).toEqual([]);
  await turn();
  expect(steps).toEqual(['prepare']);
  driver.post(cancelled('b'));
  for (const commit of waiting) commit.resolve();
  await turn();
  expect(steps).toEqual(['prepare', 'send', 'send']);
});

test('a commit that overtakes an earlier one does not let its sends overtake', async () => {
  const steps: string[] = [];
  const { commits, waiting } = heldCommits();
  const { driver } = start(() => ({ ...NOTHING, writes: [RECORD] }), commits, steps);
  const order: number[] = [];
  const both = [driver.submit(cancelled('a')).then(() => order.push(1)), driver.submit(cancelled('b')).then(() => order.push(2))];
  waiting[1]?.resolve();
  await Promise.resolve();
  expect(order).toEqual([]);
  waiting[0]?.resolve();
  await Promise.all(both);
  expect(order).toEqual([1, 2]);
});

test('a failed commit ends the driver: waiters are refused, nothing is sent, later events are refused', async () => {
  const steps: string[] = [];
  const { commits, waiting } = heldCommits();
  const { driver } = start(
    () => ({ ...NOTHING, writes: [RECORD], sends: [{ kind: 'forget-build', id: BUILD, tokens: [] }] }),
    commits,
    steps,
  );
  const submitted = driver.submit(cancelled('a'));
  waiting[0]?.reject(new Fault('LEDGER_FENCED', 'another leads'));
  await expect(submitted).rejects.toMatchObject({ code: 'LEDGER_UNAVAILABLE' });
  await expect(driver.ended).resolves.toMatchObject({ code: 'LEDGER_FENCED' });
  await expect(driver.submit(cancelled('b'))).rejects.toMatchObject({ code: 'LEDGER_UNAVAILABLE' });
  await expect(driver.append([])).rejects.toMatchObject({ code: 'LEDGER_UNAVAILABLE' });
  await expect(driver.settled()).rejects.toMatchObject({ code: 'LEDGER_UNAVAILABLE' });
  expect(steps).toEqual([]);
});

test('once the term is over nothing is applied, and nothing that is durable already is sent', async () => {
  const steps: string[] = [];
  const { commits, waiting } = heldCommits();
  let leads = true;
  let applied = 0;
  const { driver } = start(
    () => {
      applied += 1;
      return { ...NOTHING, writes: [RECORD], sends: [{ kind: 'forget-build', id: BUILD, tokens: [] }] };
    },
    commits,
    steps,
    NOTHING,
    () => leads,
  );
  const submitted = driver.submit(cancelled('a'));
  leads = false;
  waiting[0]?.resolve();
  await expect(submitted).rejects.toMatchObject({ code: 'LEDGER_UNAVAILABLE' });
  await expect(driver.submit(cancelled('b'))).rejects.toMatchObject({ code: 'LEDGER_UNAVAILABLE' });
  driver.post(cancelled('c'));
  await expect(driver.ended).resolves.toMatchObject({ code: 'LEDGER_UNAVAILABLE' });
  expect(applied).toBe(1);
  expect(steps).toEqual([]);
});

test('a core that breaks ends the driver', async () => {
  const { commits } = heldCommits();
  const { driver } = start(
    () => {
      throw new Error('broken');
    },
    commits,
    [],
  );
  await expect(driver.submit(cancelled('a'))).rejects.toMatchObject({ code: 'LEDGER_UNAVAILABLE' });
  await expect(driver.ended).resolves.toMatchObject({ code: 'INTERNAL' });
});

test('the core is woken at its wakeAt, and not before, though an earlier timer was armed', () => {
  const woken: number[] = [];
  const { commits } = heldCommits();
  let wakeAt: number | undefined;
  const { driver, pass } = start(
    (event) => {
      if (event.kind === 'woke') {
        woken.push(driver.now());
        wakeAt = undefined;
      }
      return { ...NOTHING, wakeAt };
    },
    commits,
    [],
    { ...NOTHING, wakeAt: 1_100 },
  );
  wakeAt = 1_500;
  driver.post(cancelled('moves the time on'));
  pass(1_100);
  expect(woken).toEqual([]);
  pass(1_500);
  expect(woken).toEqual([1_500]);
});

test('an event that a receiver submits while sends are delivered is applied, and delivered after them', async () => {
  const steps: string[] = [];
  const ledger = openMemoryLedger();
  const term = present(await ledger.lead({ id: 'test', address: '' }, 10_000, new AbortController().signal), 'nobody else leads');
  let inner: Promise<unknown> | undefined;
  const clock = { now: () => 1, monotonic: () => 1 };
  const driver: Driver = startDriver({
    core: { apply: (event) => ({ ...NOTHING, sends: event.kind === 'woke' ? [] : [{ kind: 'forget-build', id: BUILD, tokens: [] }] }) },
    first: NOTHING,
    commits: groupCommit(ledger, term),
    clock,
    env: { log: silentLogger, clock },
    receivers: (started) => ({
      committed: () => {},
      send: () => {
        inner = started.submit({ kind: 'woke' }, () => void steps.push('inner'));
        steps.push('outer');
      },
    }),
  });
  await driver.submit(cancelled('a'));
  await inner;
  expect(steps).toEqual(['outer', 'inner']);
  await driver[Symbol.asyncDispose]();
  await expect(driver.submit({ kind: 'woke' })).rejects.toMatchObject({ code: 'DRAINING' });
  await expect(driver.ended).resolves.toBeUndefined();
});

test('the driver tells for how long the ledger has owed it an answer', async () => {
  const { commits, waiting } = heldCommits();
  const { driver, pass } = start(() => ({ ...NOTHING, writes: [RECORD] }), commits, []);
  expect(driver.behindMs).toBe(0);
  const submitted = driver.submit(cancelled('a'));
  pass(4_500);
  void driver.submit(cancelled('b'));
  expect(driver.behindMs).toBe(3_500);
  waiting[0]?.resolve();
  await submitted;
  expect(driver.behindMs).toBe(0);
  waiting[1]?.resolve();
  await driver[Symbol.asyncDispose]();
});
