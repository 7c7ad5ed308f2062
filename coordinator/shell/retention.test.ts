import { expect, test } from 'vitest';
import { Fault } from '../../base/fault.ts';
import { memoryLogger } from '../../base/log.ts';
import { present } from '../../base/assert.ts';
import { Scheduler } from '../core/scheduler.ts';
import { newBuildId } from './build-ids.ts';
import { PLAIN_STEP } from '../../test/fixtures/plain-step.ts';
import { groupCommit } from '../ledger/group-commit.ts';
import { openMemoryLedger } from '../ledger/memory.ts';
import { startDriver } from './driver.ts';
import { startRetention, type RetentionOptions } from './retention.ts';
import type { BuildView } from '../core/view.ts';
import { stepIdOf, type BuildId } from '../core/ids.ts';

const signal = new AbortController().signal;

/** A driver on a memory ledger, and an archive that remembers what it keeps, or fails where the test says so. */
async function openRig(bounds: Partial<Pick<RetentionOptions, 'keepMs' | 'keepCount' | 'keepSteps' | 'hardCount'>>) {
  let time = 1_000_000;
  const clock = { now: () => time, monotonic: () => time };
  const log = memoryLogger();
  const env = { log, clock };
  const ledger = openMemoryLedger({ clock });
  const term = present(await ledger.lead({ id: 'test', address: '' }, 60_000, signal), 'nobody else leads');
  const core = new Scheduler({ nonce: term.nonce, seed: 1 });
  const driver = startDriver({
    core,
    first: core.resume(clock.now()),
    commits: groupCommit(ledger, term),
    clock,
    env,
    receivers: () => ({ committed: () => {}, send: () => {} }),
  });
  const kept: BuildId[] = [];
  const state: { failure: Error | undefined; meanwhile: (() => Promise<unknown>) | undefined } = {
    failure: undefined,
    meanwhile: undefined,
  };
  const archive = {
    async keep(view: BuildView) {
      const { id } = view.record;
      await state.meanwhile?.();
      if (state.failure !== undefined) throw state.failure;
      kept.push(id);
    },
  };
  const large = { keepMs: 1e9, operationKeepMs: 1e9, keepCount: 1e6, keepSteps: 1e6, hardCount: 1e6, everyMs: 1_000_000 };
  const retention = startRetention({ core, driver, archive, env, ...large, ...bounds });
  const build = async (key: string, end: boolean, steps = 1) => {
    const id = newBuildId(time);
    const owner = { project: 'p', scope: 'main', zoneCeiling: 'trusted', submittedBy: 'me' } as const;
    const names = Array.from({ length: steps }, (_, index) => ({ ...PLAIN_STEP, name: `s-${index}`, cacheable: false }));
    const spec = { ...owner, name: key, labels: {}, weight: 1, timeoutMs: undefined, failFast: false, steps: names };
    await driver.submit({ kind: 'build-submitted', id, spec, idempotencyKey: key });
    if (end) await driver.submit({ kind: 'build-cancelled', id, by: 'me', reason: 'done' });
    time += 1_000;
    return id;
  };
  const ids = () => core.builds({ limit: 100 }).map((view) => view.record.id);
  return {
    ...{ build, core, driver, ids, kept, ledger, log, retention, state },
    pass: (ms: number) => void (time += ms),
    async [Symbol.asyncDispose]() {
      await retention[Symbol.asyncDispose]();
      await driver[Symbol.asyncDispose]();
    },
  };
}

test('builds leave when they ended long enough ago, or when too many newer ones are kept; running ones stay', async () => {
  await using rig = await openRig({ keepMs: 5_000, keepCount: 2 });
  const running = await rig.build('running', false);
  const old = await rig.build('old', true);
  rig.pass(3_500);
  const [first, second, third] = [await rig.build('a', true), await rig.build('b', true), await rig.build('c', true)];
  expect(await rig.retention.sweep()).toBe(2);
  expect(rig.ids()).toEqual([third, second, running]);
  expect(rig.kept).toEqual([old, first]);
  expect(await rig.retention.sweep()).toBe(0);
});

test('builds leave when newer ones have too many steps', async () => {
  await using rig = await openRig({ keepSteps: 10 });
  const first = await rig.build('a', true, 6);
  const second = await rig.build('b', true, 6);
  expect(await rig.retention.sweep()).toBe(1);
  expect(rig.ids()).toEqual([second]);
  expect(rig.kept).toEqual([first]);
});

test('a build that the archive did not take stays, with its events, until the archive is back', async () => {
  await using rig = await openRig({ keepMs: 0 });
  const id = await rig.build('a', true);
  rig.state.failure = new Fault('STORE_UNAVAILABLE', 'no disk');
  expect(await rig.retention.sweep()).toBe(0);
  expect(rig.ids()).toEqual([id]);
  expect(rig.log.entries.map((entry) => entry.event)).toContain('builds-not-archived');
  expect(await rig.ledger.events(id, 0, 10, signal)).not.toEqual([]);
  rig.state.failure = undefined;
  expect(await rig.retention.sweep()).toBe(1);
  expect(await rig.ledger.events(id, 0, 10, signal)).toEqual([]);
});

test('while the archive is away, the oldest builds beyond the hard bound are given up, and an error says so', async () => {
  await using rig = await openRig({ keepMs: 0, hardCount: 2 });
  rig.state.failure = new Fault('STORE_UNAVAILABLE', 'no disk');
  const [, second, third] = [await rig.build('a', true), await rig.build('b', true), await rig.build('c', true)];
  expect(await rig.retention.sweep()).toBe(1);
  expect(rig.ids()).toEqual([third, second]);
  expect(rig.log.entries.find((entry) => entry.event === 'builds-dropped')).toMatchObject({ level: 'error', fields: { count: 1 } });
});

test('a build that changes while it is archived stays, and is archived again', async () => {
  await using rig = await openRig({ keepMs: 0 });
  const id = await rig.build('a', true);
  rig.state.meanwhile = async () => {
    rig.state.meanwhile = undefined;
    await rig.driver.submit({ kind: 'step-retried', step: stepIdOf(id, 's-0'), by: 'me' });
    await rig.driver.submit({ kind: 'build-cancelled', id, by: 'me', reason: 'again' });
  };
  expect(await rig.retention.sweep()).toBe(0);
  expect(rig.core.build(id)?.state.kind).toBe('ended');
  rig.pass(1);
  expect(await rig.retention.sweep()).toBe(1);
  expect(rig.kept).toEqual([id, id]);
});

test('a coordinator that dies between archiving and forgetting leaves a build that is archived again', async () => {
  await using rig = await openRig({ keepMs: 0 });
  const id = await rig.build('a', true);
  rig.state.meanwhile = async () => rig.driver.stepDown(new Fault('LEDGER_FENCED', 'killed'));
  await expect(rig.retention.sweep()).rejects.toMatchObject({ code: 'LEDGER_UNAVAILABLE' });
  expect(rig.kept).toEqual([id]);
  const restarted = new Scheduler({ nonce: 'abc', seed: 1 });
  restarted.restore(await rig.ledger.records(id, signal));
  expect(restarted.build(id)?.state.kind).toBe('ended');
});
