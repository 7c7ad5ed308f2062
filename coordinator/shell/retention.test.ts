import { expect, test } from 'vitest';
import { silentLogger } from '../../base/log.ts';
import { present } from '../../base/assert.ts';
import { Scheduler } from '../core/scheduler.ts';
import { newBuildId } from './build-ids.ts';
import { PLAIN_STEP } from '../../test/fixtures/plain-step.ts';
import { groupCommit } from '../ledger/group-commit.ts';
import { openMemoryLedger } from '../ledger/memory.ts';
import { startDriver } from './driver.ts';
import { startRetention } from './retention.ts';

test('builds leave when they ended long enough ago, or when too many newer ones are kept; running ones stay', async () => {
  const signal = new AbortController().signal;
  let time = 1_000_000;
  const clock = { now: () => time, monotonic: () => time };
  const env = { log: silentLogger, clock };
  const ledger = openMemoryLedger({ clock });
  const term = present(await ledger.lead({ id: 'test', address: '' }, 60_000, signal), 'nobody else leads');
  const core = new Scheduler({ nonce: term.nonce, seed: 1 });
  await using driver = startDriver({
    core,
    first: core.resume(clock.now()),
    commits: groupCommit(ledger, term),
    clock,
    env,
    receivers: () => ({ committed: () => {}, send: () => {} }),
  });
  const archive = { keep: async () => {} };
  const bounds = { keepMs: 5_000, keepCount: 2, keepSteps: 100, hardCount: 100, everyMs: 1_000_000 };
  await using retention = startRetention({ core, driver, archive, env, ...bounds });
  const build = async (key: string, end: boolean) => {
    const id = newBuildId(time);
    const spec = {
      name: key,
      project: 'p',
      scope: 'main',
      zoneCeiling: 'trusted',
      submittedBy: 'me',
      labels: {},
      weight: 1,
      timeoutMs: undefined,
      failFast: false,
    } as const;
    const step = { ...PLAIN_STEP, name: 'one', cacheable: false };
    await driver.submit({ kind: 'build-submitted', id, spec: { ...spec, steps: [step] }, idempotencyKey: key, requestDigest: key });
    if (end) await driver.submit({ kind: 'build-cancelled', id, by: 'me', reason: 'done' });
    time += 1_000;
    return id;
  };
  const running = await build('running', false);
  const old = await build('old', true);
  time += 3_500;
  const [first, second, third] = [await build('a', true), await build('b', true), await build('c', true)];
  expect(await retention.sweep()).toBe(2);
  expect(core.builds({ limit: 10 }).map((view) => view.record.id)).toEqual([third, second, running]);
  expect(core.build(old)).toBeUndefined();
  expect(core.build(first)).toBeUndefined();
  expect(await retention.sweep()).toBe(0);
});
