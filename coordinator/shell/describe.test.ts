import { expect, test } from 'vitest';
import { present } from '../../base/assert.ts';
import { buildId, Stage, stepId, stepOf } from '../../test/scenarios/stage.ts';
import { consumedBy } from './describe.ts';

test('what many steps between have used is consumed once', () => {
  const stage = new Stage();
  stage.agent('a1');
  const step = (name: string, cacheable: boolean, needs: readonly string[]) => ({
    ...stepOf({ name, cacheable }),
    needs: needs.map((one) => ({ step: one, outputs: true })),
  });
  const steps = [step('lib', true, []), step('a', false, ['lib']), step('b', false, ['lib', 'a']), step('app', true, ['a', 'b', 'lib'])];
  const owner = { name: 'b1', project: 'p', scope: 'main', submittedBy: 'someone' };
  const spec = { ...owner, zoneCeiling: 'production', labels: {}, weight: 1, timeoutMs: undefined, failFast: false, steps } as const;
  stage.apply({ kind: 'build-submitted', id: buildId('b1'), spec, idempotencyKey: 'b1' });
  for (const { name } of steps) {
    stage.ready(`b1/${name}`, name);
    stage.run(`b1/${name}`);
  }
  const app = present(stage.scheduler.step(stepId('b1/app')), 'it was submitted');
  const actionOf = (name: string) => stage.scheduler.step(stepId(`b1/${name}`))?.record.action?.action ?? '';
  const keys = consumedBy(stage.scheduler, app, 'main').map(({ key }) => key);
  expect(keys.toSorted()).toEqual(['a', 'b', 'lib'].map(actionOf).toSorted());
});
