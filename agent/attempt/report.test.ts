import { describe, expect, test } from 'vitest';
import { Fault, wrap, type FaultCode } from '../../base/fault.ts';
import { AttemptStopped, classOf, reportOf, shortageOf } from './report.ts';

const never = new AbortController().signal;
const systemError = (code: string) => Object.assign(new Error(`${code}: it happened`), { code });

describe('classes', () => {
  test.for<[FaultCode, 'prepare' | 'run' | 'store', string]>([
    ['BLOB_UNKNOWN', 'prepare', 'cache-error'],
    ['STORE_UNAVAILABLE', 'prepare', 'cache-error'],
    ['PEER_UNAVAILABLE', 'store', 'cache-error'],
    ['BLOB_CORRUPT', 'prepare', 'cache-error'],
    ['SANDBOX_UNAVAILABLE', 'prepare', 'sandbox-error'],
    ['SANDBOX_UNAVAILABLE', 'run', 'sandbox-error'],
    ['BAD_REQUEST', 'run', 'exit'],
    ['PATH_ESCAPES', 'prepare', 'exit'],
    ['PATH_ESCAPES', 'store', 'output'],
    ['BAD_REQUEST', 'store', 'output'],
  ])('%s while in %s is %s', ([code, stage, wanted]) => {
    expect(classOf(new Fault(code, 'x'), stage)).toBe(wanted);
  });

  test('an unknown error is ours', () => {
    expect(classOf(new Error('x'), 'prepare')).toBe('sandbox-error');
  });

  test('a full disk is an error of the host, however deep it is buried', () => {
    const buried = wrap(new Fault('STORE_UNAVAILABLE', 'tier', { cause: systemError('ENOSPC') }), 'Reading');
    expect(classOf(buried, 'prepare')).toBe('sandbox-error');
    expect(shortageOf(buried)).toBe('The disk is full');
  });

  test('a missing file is no shortage', () => {
    expect(shortageOf(systemError('ENOENT'))).toBeUndefined();
  });
});

describe('reports', () => {
  test('an attempt that was told to stop reports why, whatever was thrown', () => {
    const control = new AbortController();
    control.abort(new AttemptStopped({ class: 'agent-stop', message: 'The agent stops', graceMs: 5 }));
    expect(reportOf(new Error('aborted'), 'run', control.signal, undefined)).toEqual({
      kind: 'failed',
      class: 'agent-stop',
      message: 'The agent stops',
      result: undefined,
    });
  });

  test('the message says what was being done, what went wrong and what to do', () => {
    const fault = new Fault('SANDBOX_UNAVAILABLE', 'no user namespaces', { hint: 'Allow them.' });
    expect(reportOf(fault, 'run', never, undefined)).toMatchObject({
      message: 'The command could not be run: no user namespaces. Allow them.',
    });
  });
});
