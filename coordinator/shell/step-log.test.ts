import { expect, test } from 'vitest';
import type { AttemptReport, SealedLog } from '../../cache/action/result.ts';
import { digestOf } from '../../cache/digest.ts';
import { memoryStore } from '../../cache/memory.ts';
import { RESULT, Stage, stepId } from '../../test/scenarios/stage.ts';
import { blobPieces } from './log-reader.ts';
import { readStepLog, type StepLogOptions } from './step-log.ts';

const never = new AbortController().signal;
const WORDS = Buffer.from('words');
const LOG: SealedLog = { digest: digestOf(WORDS), truncated: false };
const STAGED: AttemptReport = { kind: 'succeeded', result: { ...RESULT, log: LOG }, staged: true };

test('a log that waits for the store on the disk of another host is said to come back, not to be gone', async () => {
  const stage = new Stage();
  stage.agent('a1');
  stage.submit('b', [{ name: 'x' }]);
  stage.ready('b/x', 'an action');
  stage.accept('b/x');
  stage.start('b/x');
  stage.finish('b/x', STAGED);
  const store = memoryStore();
  const options: StepLogOptions = {
    core: stage.scheduler,
    logs: { read: ({ sealed = LOG, offset }, signal) => blobPieces(sealed, offset, store, signal) },
    watch: { changed: () => Promise.reject(new Error('nothing is waited for')) },
    storeOf: () => store,
  };
  const read = async () => {
    const pieces: Uint8Array[] = [];
    const request = { step: stepId('b/x'), attempt: 0, offset: 0, follow: false };
    for await (const { bytes } of readStepLog(options, request, never)) pieces.push(bytes);
    return Buffer.concat(pieces).toString();
  };
  await expect(read()).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE', retryAfterMs: 5_000 });
  stage.apply({ kind: 'step-sealed', step: stepId('b/x') });
  const since = stage.scheduler.step(stepId('b/x'))?.record.unsealed?.since;
  stage.apply({ kind: 'step-published', step: stepId('b/x'), since, written: true });
  await expect(read()).rejects.toMatchObject({ code: 'LOG_UNKNOWN' });
  await store.put(LOG.digest, WORDS, never);
  expect(await read()).toBe('words');
});
