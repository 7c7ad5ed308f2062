import { expect, test } from 'vitest';
import { encodeStepResult } from '../../cache/action/action-result.ts';
import { memoryEntryStore } from '../../cache/entries/memory.ts';
import { NO_PROVENANCE } from '../../cache/entries/entry-store.ts';
import { digestOf } from '../../cache/digest.ts';
import { RESULT, Stage, stepId } from '../../test/scenarios/stage.ts';
import { provenActions } from './proven-actions.ts';

const never = new AbortController().signal;
const action = digestOf(Buffer.from('an action'));
const at = { kind: 'action', owner: { project: 'p', scope: 'main' }, key: action } as const;
const OTHER = encodeStepResult({ ...RESULT, agent: 'another' });

/** A step that ended at 1,000; what there is of its action was written at `writtenAt`. */
async function writeOver(writtenAt: number, again: boolean): Promise<string> {
  const stage = new Stage();
  stage.agent('a1');
  stage.submit('b1', [{ name: 'x' }]);
  stage.ready('b1/x');
  stage.now = 1_000;
  stage.run('b1/x');
  const entries = memoryEntryStore();
  await entries.put({ at, value: OTHER, parts: [], provenance: NO_PROVENANCE, writtenAt }, { replace: false }, never);
  const clock = { now: () => 9_000, monotonic: () => 9_000 };
  await provenActions(stage.scheduler, stepId('b1/x'), entries, clock, again)?.put(action, RESULT, never);
  const kept = await entries.get('action', 'p', ['main'], action, never);
  return kept?.writtenAt === writtenAt ? 'the other stays' : 'it is replaced';
}

test('a result takes the place of whatever there is; written again by a later leader only that of what was there before its step ended', async () => {
  const found: string[] = [];
  for (const again of [false, true]) for (const writtenAt of [500, 2_000]) found.push(await writeOver(writtenAt, again));
  expect(found).toEqual(['it is replaced', 'it is replaced', 'it is replaced', 'the other stays']);
});
