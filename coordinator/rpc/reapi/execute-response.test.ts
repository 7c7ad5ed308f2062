import { status } from '@grpc/grpc-js';
import { describe, expect, test } from 'vitest';
import { digestOf } from '../../../cache/digest.ts';
import { NO_USAGE, type StepResult } from '../../../cache/action/result.ts';
import type { StepOutcome } from '../../core/state.ts';
import { PLAIN_STEP } from '../../../test/fixtures/plain-step.ts';
import { missingStatus } from './operation.ts';
import { NO_AGENT, responseOf } from './execute-response.ts';

const digest = digestOf(Buffer.from('x'));
const result: StepResult = {
  exitCode: 0,
  outputs: [
    { kind: 'file', path: 'f', digest, executable: true },
    { kind: 'symlink', path: 'l', target: 'f' },
    { kind: 'directory', path: 'd', tree: digest, root: digest, bytes: 1 },
  ],
  log: { digest, truncated: false },
  usage: NO_USAGE,
  agent: 'one',
  startedAt: 1_000,
  endedAt: 2_000,
};
const step = (directories?: readonly string[]) => ({
  ...PLAIN_STEP,
  given: { action: digest, lookUp: true, ...(directories === undefined ? {} : { directories }) },
});
const failed = (kind: Extract<StepOutcome, { kind: 'failed' }>['class'], exitCode?: number): StepOutcome => ({
  kind: 'failed',
  class: kind,
  message: 'why',
  result: exitCode === undefined ? undefined : { ...result, exitCode },
});

describe('the end of an action', () => {
  test.for([
    ['success', { kind: 'succeeded', from: 'run', result }, status.OK, 0],
    ['a result of the cache', { kind: 'succeeded', from: 'cache', result }, status.OK, 0],
    ['an exit code', failed('exit', 3), status.OK, 3],
    ['too much memory', failed('oom', 137), status.OK, 137],
    ['too long a run', failed('timeout', 124), status.DEADLINE_EXCEEDED, 124],
    ['a wrong output', failed('output', 0), status.FAILED_PRECONDITION, 0],
    ['inputs that contradict each other', failed('exit'), status.INVALID_ARGUMENT, undefined],
    ['lost agents', { kind: 'errored', class: 'agent-lost', message: 'why' }, status.UNAVAILABLE, undefined],
    ['a cache that was away', { kind: 'errored', class: 'cache-error', message: 'why' }, status.UNAVAILABLE, undefined],
    ['poison', { kind: 'quarantined', agents: [] }, status.FAILED_PRECONDITION, undefined],
    ['a cancellation', { kind: 'cancelled', by: 'me', reason: 'so' }, status.CANCELLED, undefined],
    ['no agent of its kind', { kind: 'cancelled', by: NO_AGENT, reason: 'none' }, status.FAILED_PRECONDITION, undefined],
  ] as const satisfies readonly (readonly [string, StepOutcome, status, number | undefined])[])(
    'by %s has its status, and a result where the command ran',
    ([, outcome, code, exitCode]) => {
      const response = responseOf(outcome, step());
      expect(response.status?.code).toBe(code);
      expect(response.result?.exitCode).toBe(exitCode);
      expect(response.cachedResult ?? false).toBe(outcome.kind === 'succeeded' && outcome.from === 'cache');
    },
  );

  test('never says MISSING but for blobs: nothing else is to be uploaded and tried again', () => {
    const outcomes: readonly StepOutcome[] = [failed('output', 0), { kind: 'quarantined', agents: [] }];
    for (const outcome of outcomes) expect(responseOf(outcome, step()).status?.details ?? []).toEqual([]);
    expect(missingStatus([digest]).details).toHaveLength(1);
  });

  test('tells links by the old fields too, where the caller told directories from files', () => {
    const outcome: StepOutcome = { kind: 'succeeded', from: 'run', result };
    expect(responseOf(outcome, step()).result).toMatchObject({
      outputSymlinks: [{ path: 'l' }],
      outputFileSymlinks: [],
      outputDirectorySymlinks: [],
    });
    expect(responseOf(outcome, step(['d'])).result).toMatchObject({
      outputFileSymlinks: [{ path: 'l', target: 'f' }],
      outputDirectorySymlinks: [],
    });
    expect(responseOf(outcome, step(['d', 'l'])).result).toMatchObject({
      outputFileSymlinks: [],
      outputDirectorySymlinks: [{ path: 'l' }],
    });
  });

  test('is no success where an output is not of the kind that was said', () => {
    const outcome: StepOutcome = { kind: 'succeeded', from: 'run', result };
    expect(responseOf(outcome, step(['d', 'f'])).status).toMatchObject({
      code: status.FAILED_PRECONDITION,
      message: 'The output "f" is a file, and output_directories names it',
    });
    expect(responseOf(outcome, step([])).status).toMatchObject({
      code: status.FAILED_PRECONDITION,
      message: 'The output "d" is a directory, and output_files names it',
    });
  });
});
