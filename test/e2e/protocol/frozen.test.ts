import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { hostUptimeMs } from '../../../base/clock.ts';
import { needs } from '../../fixtures/host.ts';
import { until } from '../../fixtures/until.ts';
import { endOf } from '../real-yard.ts';
import { startStage, type Stage, type StepText } from './stage.ts';

const TTL_MS = 10_000;
const TIMINGS = ['--lease-ttl', `${TTL_MS}ms`, '--heartbeat', '2s'];

/** A step that notes every tenth of a second that it runs, as does a daemon of it, until there is a gate beside the notes. */
function pulsing(name: string, more: Readonly<Record<string, unknown>>): StepText {
  const beat = `while [ ! -e gate ]; do read up rest </proc/uptime; echo "$up" >>${name}; sleep 0.1; done`;
  return { run: `trap '' TERM; (setsid sh -c '${beat}' &); ${beat}`, ...more };
}

/** The notes of a step in the input root that an agent has made for it: milliseconds since the start of the host. */
function pulses(stage: Stage, agent: string, step: string): readonly number[] {
  return globSync(join(stage.path(agent), 'workspaces', '**', step)).flatMap((path) =>
    readFileSync(path, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => Number(line) * 1_000),
  );
}

function open(stage: Stage, agent: string, step: string): void {
  for (const path of globSync(join(stage.path(agent), 'workspaces', '**', step))) writeFileSync(join(dirname(path), 'gate'), '');
}

/** Both ways of holding a step's processes together. */
const KINDS = [
  ['process', true],
  ['bubblewrap', needs('bubblewrap')],
] as const;

for (const [sandbox, can] of KINDS) {
  const title = `the effects of a step (${sandbox}) whose agent alone stands still end before its lease does, and a next attempt comes after them`;
  test.runIf(can)(title, async () => {
    await using stage = await startStage({ coordinatorArgs: TIMINGS });
    const frozen = stage.agent('frozen', { sandbox });
    await frozen.ready();
    const { run, build } = await stage.submit({
      deploy: pulsing('deploy', { sideEffects: true, retry: { 'agent-lost': 1, wait: '1ms' } }),
      pure: pulsing('pure', { sideEffects: false }),
    });
    const running = (agent: string, step: string) => until(`${agent} runs ${step}`, () => pulses(stage, agent, step).length > 20);
    await Promise.all(['deploy', 'pure'].map((step) => running('frozen', step)));
    const other = stage.agent('other', { sandbox });
    await other.ready();
    frozen.kill('SIGSTOP');
    const leaseEnd = hostUptimeMs() + TTL_MS;
    await running('other', 'deploy');

    const last = Math.max(...pulses(stage, 'frozen', 'deploy'));
    expect(last).toBeLessThan(leaseEnd);
    expect(last).toBeLessThan(Math.min(...pulses(stage, 'other', 'deploy')));
    // What changes nothing outside goes on, though its agent does not.
    await until('the pure step goes on', () => Math.max(...pulses(stage, 'frozen', 'pure')) > last + 1_000);
    expect(Math.max(...pulses(stage, 'frozen', 'deploy'))).toBe(last);

    frozen.kill('SIGCONT');
    const ended = () => stage.journal('frozen').filter(({ event }) => event === 'forgotten').length;
    await until('the agent has nothing of them any more', () => ended() === 2);
    await running('other', 'pure');
    for (const step of ['deploy', 'pure']) open(stage, 'other', step);
    expect((await run.ended).code).toBe(0);
    const { steps } = await endOf(stage.yard.server, build);
    const attempts = [{ agent: 'frozen' }, { agent: 'other', number: 2 }];
    expect(steps.map((step) => [step.verdict, step.result?.agent])).toEqual(['deploy', 'pure'].map(() => ['succeeded', 'other']));
    expect(steps).toMatchObject([{ attempts }, { attempts }]);
    expect(stage.journal('frozen').filter((line) => line.event === 'answered' && line.verdict !== 'fenced')).toEqual([]);
  });
}
