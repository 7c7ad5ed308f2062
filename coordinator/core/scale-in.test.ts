import { expect, test } from 'vitest';
import { digestOf } from '../../cache/digest.ts';
import { Stage } from '../../test/scenarios/stage.ts';

const POOL = { cluster: 'c', pool: 'p', zone: 'trusted' };
const order = (stage: Stage) => stage.scheduler.scaleInOrder('c/p', stage.now).map(({ agent }) => agent);

/** Runs a step of that name on the agent of that name alone. */
function runOn(stage: Stage, agent: string, step: Parameters<Stage['submit']>[1][number]): void {
  stage.agent(agent, { labels: { ...POOL, name: agent }, capacity: { slots: 4 } });
  stage.submit(step.name, [{ ...step, selector: `name=${agent}` }]);
  stage.readyAll();
  const id = `${step.name}/${step.name}`;
  stage.accept(id);
  stage.start(id);
}

test('who runs nothing goes first, then who has least to lose, and who changes the world outside last', () => {
  const stage = new Stage();
  runOn(stage, 'old', { name: 'long' });
  stage.advance(5_000);
  runOn(stage, 'outside', { name: 'deploy', sideEffects: true });
  runOn(stage, 'young', { name: 'short' });
  stage.agent('idle', { labels: { ...POOL, name: 'idle' } });
  stage.advance(1_000);
  expect(order(stage)).toEqual(['idle', 'young', 'old', 'outside']);
  expect(stage.scheduler.scaleInOrder('c/p', stage.now)).toMatchObject([
    { running: 0, sideEffects: 0, workMs: 0 },
    { running: 1, workMs: 1_000 },
    { running: 1, workMs: 6_000 },
    { running: 1, sideEffects: 1 },
  ]);
});

test('of two that are the same to lose, the one with less at hand goes', () => {
  const stage = new Stage();
  const inputBytes = 1_000;
  stage.agent('warm', { labels: { ...POOL, name: 'warm' } });
  stage.submit('b', [{ name: 's', selector: 'name=warm' }]);
  stage.ready('b/s', 'b/s', { inputBytes, parts: [{ root: digestOf(Buffer.from('tree')), bytes: inputBytes }] });
  stage.run('b/s');
  stage.agent('cold', { labels: { ...POOL, name: 'cold' } });
  expect(order(stage)).toEqual(['cold', 'warm']);
});

test('who is away, drains, or is of another pool is not among them', () => {
  const stage = new Stage();
  for (const name of ['here', 'away', 'leaving', 'held']) stage.agent(name, { labels: POOL });
  stage.agent('other', { labels: { ...POOL, pool: 'q' } });
  stage.apply({ kind: 'agent-disconnected', session: stage.session('away') });
  stage.apply({ kind: 'agent-drained', session: stage.session('leaving'), reason: 'SIGTERM' });
  stage.apply({ kind: 'hold-placed', target: 'agent:held', hold: 'drain', reason: 'r', by: 'ann', expiresAt: undefined });
  expect(order(stage)).toEqual(['here']);
  expect(stage.scheduler.scaleInOrder('c/none', stage.now)).toEqual([]);
});
