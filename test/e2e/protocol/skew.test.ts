import { join } from 'node:path';
import { expect, test } from 'vitest';
import { systemClock } from '../../../base/clock.ts';
import { ROOT } from '../../fixtures/root.ts';
import { until } from '../../fixtures/until.ts';
import { endOf } from '../real-yard.ts';
import { startStage } from './stage.ts';

const HOURS_MS = 3_600_000;

test.for([
  ['three hours ahead', 3 * HOURS_MS],
  ['three hours behind', -3 * HOURS_MS],
  ['in another decade', 10 * 365 * 24 * HOURS_MS],
] as const)(
  'an agent whose clock is %s keeps its leases, survives a restart of the coordinator, and is believed no time',
  async ([, skewMs]) => {
    await using stage = await startStage({ coordinatorArgs: ['--lease-ttl', '60s', '--heartbeat', '500ms'] });
    const agent = stage.agent('one', { node: ['--import', join(ROOT, 'test/fixtures/skew-clock.ts')], env: { SKEW_MS: String(skewMs) } });
    await agent.ready();
    const before = systemClock.now();
    const run = `echo start; while [ ! -e ${stage.path('gate')} ]; do sleep 0.1; done; echo end`;
    const submitted = await stage.submit({ world: { run, sideEffects: true }, pure: { run, sideEffects: false } });
    const started = () => stage.journal('one').filter(({ event }) => event === 'started');
    await until('both run', () => started().length === 2);
    expect(Math.abs((started()[0]?.atMs ?? 0) - before - skewMs)).toBeLessThan(HOURS_MS);
    await stage.yard.killCoordinator();
    const registered = () => stage.journal('one').filter(({ event }) => event === 'registered').length;
    await until('the agent is back', () => registered() >= 2);
    stage.open('gate');
    expect((await submitted.run.ended).code).toBe(0);
    const { build, steps } = await endOf(stage.yard.server, submitted.build);
    for (const step of steps) {
      expect(step).toMatchObject({ verdict: 'succeeded', attempts: [{ number: 1 }] });
      // Readers see the coordinator's time; only the report itself is in the agent's.
      for (const time of [step.startedAtMs, step.endedAtMs, step.attempts[0]?.acceptedAtMs]) {
        expect(Math.abs((time ?? 0) - build.acceptedAtMs)).toBeLessThan(HOURS_MS);
      }
    }
  },
);
