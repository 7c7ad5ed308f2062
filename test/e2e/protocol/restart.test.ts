import { expect, test } from 'vitest';
import { until } from '../../fixtures/until.ts';
import { endOf } from '../real-yard.ts';
import { startStage, tokensOf, type StepText } from './stage.ts';

const NAMES = ['one', 'two'];

/** Fifty steps that say so when they start and when they go on after the gate. */
function fifty(gate: string, journal: string): Readonly<Record<string, StepText>> {
  const step = (index: number): StepText => ({
    run: `echo "start ${index}" >>${journal}; while [ ! -e ${gate} ]; do sleep 0.2; done; echo "end ${index}" >>${journal}`,
    sideEffects: index % 2 === 1,
  });
  return Object.fromEntries(Array.from({ length: 50 }, (_, index) => [`s${index}`, step(index)]));
}

test('a coordinator that is killed and started again under 50 running steps: all finish, none runs twice', async () => {
  await using stage = await startStage({ coordinatorArgs: ['--lease-ttl', '60s'] });
  for (const name of NAMES) stage.agent(name, { slots: 25 });
  const { run, build } = await stage.submit(fifty(stage.path('gate'), stage.path('steps')));
  await until('all run', () => stage.lines('steps').length === 50);
  await stage.yard.killCoordinator();
  stage.open('gate');
  expect((await run.ended).code).toBe(0);
  const { steps } = await endOf(stage.yard.server, build);
  expect(steps.map((step) => [step.attempts.length, step.verdict])).toEqual(Array.from(steps, () => [1, 'succeeded']));
  for (const word of ['start', 'end']) expect(stage.lines('steps').filter((line) => line.startsWith(word))).toHaveLength(50);
  // And the agents say the same: each attempt was taken, run and answered once.
  const journals = NAMES.map((name) => stage.journal(name));
  const all = (event: 'accepted' | 'started' | 'answered') => journals.flatMap((journal) => tokensOf(journal, event)).toSorted();
  const tokens = steps.flatMap((step) => step.attempts.map(({ token }) => token)).toSorted();
  expect(all('accepted')).toEqual(tokens);
  expect(all('started')).toEqual(tokens);
  expect([...new Set(all('answered'))]).toEqual(tokens);
  for (const journal of journals) expect(journal.filter(({ event }) => event === 'registered').length).toBeGreaterThan(1);
});
