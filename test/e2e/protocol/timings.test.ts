import { expect, test } from 'vitest';
import { until } from '../../fixtures/until.ts';
import { endOf } from '../real-yard.ts';
import { startStage, type Stage } from './stage.ts';

/** What the agent was told when it registered, by its own log. */
function terms(stderr: string): readonly { readonly leaseTtlMs: number; readonly heartbeatMs: number }[] {
  return stderr
    .split('\n')
    .filter((line) => line.includes('"session-registered"'))
    .map((line) => {
      const { leaseTtlMs, heartbeatMs } = JSON.parse(line) as { leaseTtlMs: number; heartbeatMs: number }; // a line of that event
      return { leaseTtlMs, heartbeatMs };
    });
}

/** Waits until a step that writes a line every tenth of a second has written so many more. */
async function runsFor(stage: Stage, lines: number): Promise<void> {
  const before = stage.lines('beat').length;
  await until(`the step goes on for ${lines / 10} s`, () => stage.lines('beat').length >= before + lines);
}

test('timings that are changed under a running step are kept by its agent, which is not started again', async () => {
  await using stage = await startStage({ coordinatorArgs: ['--lease-ttl', '90s', '--heartbeat', '30s'] });
  const agent = stage.agent('one');
  await agent.ready();
  const beat = `while [ ! -e ${stage.path('gate')} ]; do echo beat >>${stage.path('beat')}; sleep 0.1; done`;
  const { run, build } = await stage.submit({ deploy: { run: beat, sideEffects: true }, pure: { run: beat, sideEffects: false } });
  await runsFor(stage, 10);

  // Under a lease of 6 s, an agent that went on to renew every 30 s would lose both steps.
  await stage.yard.killCoordinator(undefined, ['--lease-ttl', '6s', '--heartbeat', '1s']);
  await until('the agent is back', () => terms(agent.stderr()).length === 2);
  await runsFor(stage, 300);
  // And one that still counted with leases of 6 s would stop the first of them while nobody can be reached for longer.
  await stage.yard.killCoordinator(undefined, ['--lease-ttl', '90s', '--heartbeat', '30s']);
  await until('the agent is back', () => terms(agent.stderr()).length === 3);
  await runsFor(stage, 200);

  stage.open('gate');
  expect((await run.ended).code).toBe(0);
  const { steps } = await endOf(stage.yard.server, build);
  expect(steps.map((step) => [step.verdict, step.attempts.length])).toEqual(['deploy', 'pure'].map(() => ['succeeded', 1]));
  expect(terms(agent.stderr())).toEqual([
    { leaseTtlMs: 90_000, heartbeatMs: 30_000 },
    { leaseTtlMs: 6_000, heartbeatMs: 1_000 },
    { leaseTtlMs: 90_000, heartbeatMs: 30_000 },
  ]);
  expect(stage.journal('one').filter(({ event }) => event === 'boot' || event === 'stopped')).toMatchObject([{ event: 'boot' }]);
});
