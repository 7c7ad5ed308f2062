import { expect, test } from 'vitest';
import { until } from '../../fixtures/until.ts';
import { endOf, stepOf } from '../real-yard.ts';
import { startStage } from './stage.ts';

const NAMES = ['one', 'two', 'three', 'four'];

test('a step that takes three agents down is set aside with their names, and the fourth is spared', async () => {
  await using stage = await startStage({ coordinatorArgs: ['--lease-ttl', '10s', '--heartbeat', '2s'] });
  const agents = new Map(NAMES.map((name) => [name, stage.agent(name)]));
  for (const agent of agents.values()) await agent.ready();
  const run = `echo "$ON" >>${stage.path('starts')}; sleep 600`;
  const submitted = await stage.submit({
    bad: { run, sideEffects: false, retry: { 'agent-lost': 10, wait: '50ms', waitMax: '100ms' } },
    good: { run: 'sleep 1; true', sideEffects: false, retry: { 'agent-lost': 10 } },
  });
  const killed: string[] = [];
  // The coordinator, too, must have heard that it runs there: an offer whose answer died with the agent costs no attempt.
  const runsOn = async () => {
    const { attempts } = await stepOf(stage.yard.server, submitted.build, 'bad');
    const accepted = attempts.find(({ endedAtMs }) => endedAtMs === undefined);
    return NAMES.find((name) => name === accepted?.agent && !killed.includes(name) && starts(name));
  };
  const starts = (name: string) => {
    const journal = stage.journal(name);
    const bad = journal.flatMap((line) => (line.event === 'accepted' && line.step === 'bad' ? [line.token] : []));
    return journal.some((line) => line.event === 'started' && bad.includes(line.token));
  };
  while (killed.length < 3) {
    const name = await until(`it runs on agent ${killed.length + 1}`, runsOn);
    killed.push(name);
    agents.get(name)?.kill('SIGKILL');
  }
  expect((await submitted.run.ended).code).toBe(1);
  const { steps } = await endOf(stage.yard.server, submitted.build);
  const bad = steps.find(({ name }) => name === 'bad');
  expect(bad).toMatchObject({ verdict: 'quarantined' });
  expect(bad?.attempts).toHaveLength(3);
  for (const name of killed) expect(bad?.message).toContain(name);
  const [spared] = NAMES.filter((name) => !killed.includes(name));
  expect(starts(spared ?? '')).toBe(false);
});
