import { expect, test } from 'vitest';
import { Stage, stepId } from '../../test/scenarios/stage.ts';

/** Why steps wait in vain, and how many. */
function vain(stage: Stage): Readonly<Record<string, number>> {
  return Object.fromEntries(Object.entries(stage.scheduler.waiting().unmatched).filter(([, count]) => count > 0));
}

test('steps that nobody can take are counted by what no agent has', () => {
  const stage = new Stage();
  const steps = [
    { name: 'zone', zone: 'production' as const },
    { name: 'selector', selector: 'gpu' },
    { name: 'resources', resources: { slots: 9 } },
    { name: 'sandbox', sandbox: ['isolatesHost'] as const },
    { name: 'together', selector: 'class=edge', resources: { slots: 4 } },
    { name: 'fits', selector: 'class=edge' },
  ];
  stage.submit('b', steps, { zoneCeiling: 'production' });
  stage.readyAll();
  expect(vain(stage)).toEqual({ 'no-agents': 6 });
  stage.agent('small', { labels: { class: 'edge', zone: 'trusted' }, capacity: { slots: 1 } });
  stage.agent('large', { labels: { class: 'central', zone: 'trusted' }, capacity: { slots: 4 } });
  expect(vain(stage)).toEqual({ zone: 1, selector: 1, resources: 1, sandbox: 1, together: 1 });
  expect(stage.placeOf('b/fits')).toBe('small');
});

test('steps whose agents take nothing are counted by why, and not while one of them only is busy', () => {
  const stage = new Stage();
  stage.agent('one', { credits: 8 });
  stage.submit('b', [{ name: 's' }, { name: 't' }]);
  stage.readyAll();
  expect(stage.placeOf('b/s')).toBe('one');
  expect(vain(stage)).toEqual({});
  stage.apply({ kind: 'hold-placed', target: 'agent:one', hold: 'pause', reason: 'r', by: 'ann', expiresAt: undefined });
  expect(vain(stage)).toEqual({ held: 1 });
  stage.agent('two', { credits: 0, labels: { class: 'edge' } });
  stage.apply({ kind: 'agent-drained', session: stage.session('two'), reason: 'SIGTERM' });
  expect(vain(stage)).toEqual({ several: 1 });
  stage.apply({ kind: 'hold-lifted', target: 'agent:one', by: 'ann' });
  expect(vain(stage)).toEqual({});
});

test('the age of the queue is that of the step that could run first, of all classes', () => {
  const stage = new Stage();
  expect(stage.scheduler.waiting().oldestReadyAt).toBeUndefined();
  stage.advance(1_000);
  stage.submit('b', [{ name: 's', selector: 'gpu' }]);
  stage.readyAll();
  stage.advance(1_000);
  stage.submit('c', [{ name: 's' }, { name: 't' }]);
  stage.readyAll();
  expect(stage.scheduler.waiting().oldestReadyAt).toBe(1_000);
  stage.apply({ kind: 'step-cancelled', step: stepId('b/s'), by: 'ann', reason: 'r' });
  expect(stage.scheduler.waiting().oldestReadyAt).toBe(2_000);
});
