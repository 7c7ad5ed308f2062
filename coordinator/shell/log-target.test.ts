import { expect, test } from 'vitest';
import type { AttemptReport, SealedLog } from '../../cache/action/result.ts';
import { digestOf } from '../../cache/digest.ts';
import { buildId, RESULT, Stage, stepId, SUCCESS } from '../../test/scenarios/stage.ts';
import { logTarget } from './log-target.ts';

const LOG: SealedLog = { digest: digestOf(Buffer.from('words')), truncated: false };
const FAILURE: AttemptReport = { kind: 'failed', class: 'exit', message: 'exit status 1', result: { ...RESULT, exitCode: 1, log: LOG } };

/** Two builds whose step is the same; the second one takes the end of the first one's run. */
function merged(report: AttemptReport) {
  const stage = new Stage();
  stage.agent('a1');
  for (const build of ['b1', 'b2']) {
    stage.submit(build, [{ name: 'x' }]);
    stage.ready(`${build}/x`, 'the same action');
  }
  expect(stage.state('b2/x').kind).toBe('merged');
  const token = (stage.accept('b1/x'), stage.token('b1/x'));
  stage.start('b1/x');
  stage.finish('b1/x', report);
  expect(stage.state('b2/x').kind).toBe('ended');
  return { stage, token };
}

test('a merged step whose result names no log has the log of the attempt that ran for it', () => {
  const { stage, token } = merged({ ...SUCCESS, result: { ...RESULT, log: undefined } });
  expect(logTarget(stage.scheduler, stepId('b2/x'), 0)).toMatchObject({ kind: 'attempt', build: buildId('b1'), token });
  stage.crash();
  expect(logTarget(stage.scheduler, stepId('b2/x'), 0)).toMatchObject({ kind: 'attempt', build: buildId('b1'), token });
});

test('a merged step that failed as the other did has that one’s log', () => {
  const { stage } = merged(FAILURE);
  expect(logTarget(stage.scheduler, stepId('b2/x'), 0)).toEqual({ kind: 'result', build: buildId('b2'), sealed: LOG });
});

test('a merged step whose result names its log has it, whatever became of the other build', () => {
  const { stage } = merged({ ...SUCCESS, result: { ...RESULT, log: LOG } });
  expect(logTarget(stage.scheduler, stepId('b2/x'), 0)).toEqual({ kind: 'result', build: buildId('b2'), sealed: LOG });
});
