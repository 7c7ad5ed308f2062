import { expect, test } from 'vitest';
import type { AttemptReport } from '../../cache/action/result.ts';
import { buildId, failure, RESULT, Stage, stepId, SUCCESS, told, type StepSketch } from '../../test/scenarios/stage.ts';
import { LIMITS } from './limits.ts';
import type { Outcome } from './outcome.ts';
import { DEFAULT_RETRY } from './spec.ts';

const STAGED: AttemptReport = { kind: 'succeeded', result: RESULT, staged: true };
const AWAY: AttemptReport = { kind: 'failed', class: 'cache-error', message: 'the bucket is away', result: undefined, storeAway: true };

/** A step of which one other needs the outputs; the first has ended as `report` says. */
function chain(report: AttemptReport = STAGED, more: StepSketch = { name: 'x' }): Stage {
  const stage = new Stage();
  stage.agent('a1');
  stage.submit('b1', [more, { name: 'y', needs: ['x'] }]);
  stage.ready('b1/x');
  stage.run('b1/x', report);
  return stage;
}

const record = (stage: Stage, step = 'b1/x') => stage.scheduler.step(stepId(step))?.record;
const degraded = (stage: Stage) => stage.scheduler.build(buildId('b1'))?.degraded;
const lost = (stage: Stage, producers: readonly string[] = ['x']) =>
  stage.apply({ kind: 'step-resolved', step: stepId('b1/y'), resolution: { kind: 'inputs-lost', message: 'x is gone', producers } });
const sealed = (stage: Stage, step = 'b1/x') => stage.apply({ kind: 'step-sealed', step: stepId(step) });
/** The entry of a step that was staged is written, or never will be. */
const published = (stage: Stage, step = 'b1/x', written = true) =>
  stage.apply({ kind: 'step-published', step: stepId(step), since: record(stage, step)?.unsealed?.since, written });
const asked = ({ sends }: Outcome) => sends.filter(({ kind }) => kind === 'seal' || kind === 'publish').map(({ kind }) => kind);

test('a step whose outputs are staged only ends, its dependents go on, and nothing of it is published until the store has them', () => {
  const stage = chain();
  expect(told(stage.last)).toEqual(['close-log', 'seal', 'a1#1 result-reply', 'resolve']);
  expect(record(stage)?.unsealed).toEqual({ since: stage.now, sealedAt: undefined });
  expect(stage.state('b1/y').kind).toBe('resolving');
  expect(degraded(stage)?.[0]).toContain('x: the store did not answer');
  stage.ready('b1/y');
  stage.run('b1/y', STAGED);
  expect(stage.scheduler.build(buildId('b1'))?.state).toMatchObject({ kind: 'ended', outcome: 'succeeded' });
  expect(degraded(stage)?.[0]).toContain('x, y: the store did not answer; what was left is staged');
  expect(sealed(stage)).toMatchObject({ writes: [], sends: [{ kind: 'publish', step: stepId('b1/x'), again: false }] });
  expect(told(sealed(stage, 'b1/y'))).toEqual(['publish']);
  expect(degraded(stage)?.[0]).toContain('x, y: the store did not answer; what was left is staged');
  published(stage);
  published(stage, 'b1/y');
  expect(degraded(stage)).toEqual(['x, y: the store did not answer; what was left was staged, and has been published since']);
});

test('whoever leads next asks again, also for builds that have ended', () => {
  const stage = chain();
  stage.ready('b1/y');
  stage.run('b1/y');
  const outcome = stage.crash();
  expect(outcome.sends).toContainEqual({ kind: 'seal', step: stepId('b1/x') });
  expect(outcome.sends).not.toContainEqual(expect.objectContaining({ kind: 'publish', step: stepId('b1/x') }));
  expect(asked(sealed(stage))).toEqual(['publish']);
  expect(record(stage)?.unsealed?.sealedAt).toBeUndefined();
  stage.advance(10 * 60_000);
  expect(asked(stage.crash()), 'the last leader ended before it had written the entry').toEqual(['seal']);
  expect(asked(sealed(stage))).toEqual(['publish']);
  expect(published(stage).writes).toHaveLength(1);
  expect(asked(sealed(stage))).toEqual([]);
  stage.advance(10 * 60_000);
  expect(asked(stage.crash())).toEqual([]);
});

test('an entry that can never be written is not asked for again, and the build says so', () => {
  const stage = chain();
  sealed(stage);
  published(stage, 'b1/x', false);
  expect(record(stage)).toMatchObject({ unkept: true, unsealed: { sealedAt: stage.now } });
  expect(degraded(stage)).toEqual(['x: the entry could not be written into the action cache, so equal steps run again']);
  expect(asked(stage.crash())).toEqual([]);
});

test('word of an entry of an earlier run says nothing of a later one', () => {
  const stage = chain();
  const since = record(stage)?.unsealed?.since;
  stage.advance(1_000);
  lost(stage);
  stage.ready('b1/x');
  stage.run('b1/x', STAGED);
  expect(stage.apply({ kind: 'step-published', step: stepId('b1/x'), since, written: true }).writes).toEqual([]);
  expect(record(stage)?.unsealed?.sealedAt).toBeUndefined();
});

test('what ended shortly before a leader died is published once more by the next one, with no record for it', () => {
  const stage = chain(SUCCESS);
  stage.advance(60_000);
  const first = stage.crash();
  expect(first.sends).toContainEqual(expect.objectContaining({ kind: 'publish', step: stepId('b1/x'), result: RESULT, again: true }));
  expect(first.writes).toEqual([]);
  stage.advance(10 * 60_000);
  expect(asked(stage.crash()), 'long ago').toEqual([]);
});

test('of many that ended shortly before, the newest are published once more', () => {
  const stage = new Stage({ limits: { ...LIMITS, publishedAgain: 2 } });
  stage.agent('a1');
  stage.submit('b1', [{ name: 'x' }, { name: 'y' }, { name: 'z' }]);
  for (const step of ['b1/z', 'b1/x', 'b1/y']) {
    stage.ready(step);
    stage.run(step);
    stage.advance(1_000);
    stage.heartbeat('a1', []);
  }
  const again = stage.crash().sends.flatMap((send) => (send.kind === 'publish' ? [send.step] : []));
  expect(again).toEqual([stepId('b1/x'), stepId('b1/y')]);
});

test('an entry that was given up costs a record and a sentence, and is not tried again', () => {
  const stage = chain(SUCCESS);
  expect(published(stage, 'b1/x', false).writes).toHaveLength(1);
  expect(published(stage, 'b1/x', false).writes).toEqual([]);
  expect(degraded(stage)?.join()).toContain('x: the entry could not be written into the action cache');
  expect(asked(stage.crash())).toEqual([]);
});

test('what an equal step shares of a staged result is staged as well, and published once', () => {
  const stage = new Stage();
  stage.agent('a1');
  stage.submit('b1', [{ name: 'x' }, { name: 'z' }]);
  stage.ready('b1/x', 'same');
  stage.ready('b1/z', 'same');
  expect(stage.state('b1/z').kind).toBe('merged');
  stage.run('b1/x', STAGED);
  expect(record(stage, 'b1/z')?.unsealed).toEqual({ since: stage.now, sealedAt: undefined });
  expect(told(sealed(stage))).toEqual(['publish']);
  expect(told(sealed(stage, 'b1/z'))).toEqual([]);
  expect(record(stage, 'b1/z')?.unsealed?.sealedAt).toBe(stage.now);
});

test('a step whose outputs are gone before they are used runs again, and its dependent waits for that', () => {
  const stage = chain();
  const outcome = lost(stage);
  expect(told(outcome)).toEqual(['resolve']);
  expect(stage.state('b1/y').kind).toBe('blocked');
  expect(stage.state('b1/x').kind).toBe('resolving');
  expect(record(stage)).toMatchObject({ reruns: 1, unsealed: undefined });
  stage.ready('b1/x');
  expect(told(stage.run('b1/x'))).toEqual(['close-log', 'publish', 'a1#1 result-reply', 'resolve']);
  expect(stage.state('b1/y').kind).toBe('resolving');
  stage.ready('b1/y');
  stage.run('b1/y');
  expect(stage.scheduler.build(buildId('b1'))?.state).toMatchObject({ kind: 'ended', outcome: 'succeeded' });
  expect(degraded(stage)).toEqual(['x: ran again, because what was left had gone before others could use it']);
});

test('two dependents that find the same gone have it run again once', () => {
  const stage = new Stage();
  stage.agent('a1');
  stage.submit('b1', [{ name: 'x' }, { name: 'y', needs: ['x'] }, { name: 'z', needs: ['x'] }]);
  stage.ready('b1/x');
  stage.run('b1/x', STAGED);
  expect(told(lost(stage))).toEqual(['resolve']);
  const again = { kind: 'inputs-lost', message: 'x is gone', producers: ['x'] } as const;
  expect(told(stage.apply({ kind: 'step-resolved', step: stepId('b1/z'), resolution: again }))).toEqual([]);
  stage.ready('b1/x');
  stage.run('b1/x');
  expect([stage.state('b1/y').kind, stage.state('b1/z').kind]).toEqual(['resolving', 'resolving']);
  expect(record(stage)?.reruns).toBe(1);
});

test('a step that changes the world is not run again for its outputs, and none without end', () => {
  const retry = { ...DEFAULT_RETRY, limits: { ...DEFAULT_RETRY.limits, 'agent-lost': 0 } };
  const stage = chain(STAGED, { name: 'x', sideEffects: true, retry });
  lost(stage);
  expect(stage.state('b1/y')).toMatchObject({ kind: 'ended', outcome: { kind: 'errored', class: 'cache-error' } });

  const other = chain();
  for (let round = 0; round < 3; round += 1) {
    lost(other);
    other.ready('b1/x');
    other.run('b1/x', STAGED);
  }
  lost(other);
  expect(other.state('b1/y')).toMatchObject({ kind: 'ended', outcome: { kind: 'errored', message: 'x is gone' } });
});

test('a dependent that cannot fetch what is staged only has its inputs worked out again', () => {
  const stage = chain();
  stage.ready('b1/y');
  expect(told(stage.run('b1/y', failure('cache-error')))).toContain('resolve');
  expect(stage.state('b1/y').kind).toBe('resolving');
  expect(record(stage, 'b1/y')?.failures).toEqual({ 'cache-error': 1 });
});

test('a step that cannot have what another left has its inputs worked out again after its wait, and the other runs again if that is gone', () => {
  const stage = new Stage();
  stage.agent('a1');
  stage.submit('b1', [{ name: 'x' }, { name: 'y', takes: ['x'] }]);
  stage.ready('b1/x');
  stage.run('b1/x');
  stage.ready('b1/y');
  expect(told(stage.run('b1/y', failure('cache-error')))).not.toContain('resolve');
  expect(stage.state('b1/y').kind).toBe('resolving');
  stage.heartbeat('a1', []);
  expect(stage.advance(60_000).flatMap(told)).toContain('resolve');
  expect(told(lost(stage))).toEqual(['resolve']);
  expect([stage.state('b1/x').kind, stage.state('b1/y').kind]).toEqual(['resolving', 'blocked']);
  stage.heartbeat('a1', []);
  stage.ready('b1/x');
  stage.run('b1/x');
  stage.ready('b1/y');
  stage.run('b1/y');
  expect(stage.scheduler.build(buildId('b1'))?.state).toMatchObject({ kind: 'ended', outcome: 'succeeded' });
  expect(record(stage, 'b1/y')?.failures).toEqual({ 'cache-error': 1 });
});

test('an attempt that fails for want of the store alone costs nothing, however often', () => {
  const stage = chain(SUCCESS);
  stage.ready('b1/y');
  for (let round = 0; round < 20; round += 1) {
    stage.run('b1/y', AWAY);
    expect(stage.state('b1/y').kind).toBe('queued');
    stage.heartbeat('a1', []);
    for (let waits = 0; waits < 80 && stage.state('b1/y').kind === 'queued'; waits += 1) stage.advance(500);
  }
  expect(record(stage, 'b1/y')?.failures).toEqual({});
  expect(stage.scheduler.agents()[0]?.breaker.kind).toBe('closed');
  stage.run('b1/y');
  expect(stage.scheduler.build(buildId('b1'))?.state).toMatchObject({ kind: 'ended', outcome: 'succeeded' });
});
