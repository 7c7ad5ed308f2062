import { expect, test } from 'vitest';
import type { SealedLog, StepResult } from '../../cache/action/result.ts';
import { digestOf } from '../../cache/digest.ts';
import { RESULT, stepId } from '../../test/scenarios/stage.ts';
import { loggedResults } from './logged-results.ts';

const step = stepId('b1/one');
const LOG: SealedLog = { digest: digestOf(Buffer.from('words')), truncated: false };
const WITHOUT: StepResult = { ...RESULT, log: undefined };

function publishing() {
  const published: StepResult[] = [];
  return { published, publish: (result: StepResult) => void published.push(result) };
}

test('a result that names its log, or has none to wait for, is published at once', () => {
  const results = loggedResults();
  const { published, publish } = publishing();
  const named = { ...RESULT, log: LOG };
  results.whenLogged(step, named, publish);
  results.whenLogged(step, WITHOUT, publish);
  expect(published).toEqual([named, WITHOUT]);
});

test('a result whose agent could store no log is published with the log once that is a blob', async () => {
  const results = loggedResults();
  const { published, publish } = publishing();
  const closed = Promise.withResolvers<SealedLog>();
  results.closing(step, closed.promise);
  results.whenLogged(step, WITHOUT, publish);
  expect(published).toEqual([]);
  closed.resolve(LOG);
  await closed.promise;
  expect(published).toEqual([{ ...WITHOUT, log: LOG }]);
  results.whenLogged(step, WITHOUT, publish);
  expect(published, 'what was waited for is forgotten').toHaveLength(2);
});

test('a result is not published where its log was not kept, and as it is where not a byte came', async () => {
  for (const [end, count] of [
    ['unknown', 0],
    ['nothing', 1],
  ] as const) {
    const results = loggedResults();
    const { published, publish } = publishing();
    const closed = Promise.resolve(end);
    results.closing(step, closed);
    results.whenLogged(step, WITHOUT, publish);
    await closed;
    await Promise.resolve();
    expect(published, end).toHaveLength(count);
  }
});
