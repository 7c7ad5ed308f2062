import { expect, test } from 'vitest';
import { lastWords } from './child.ts';

const line = (level: number, more: object) => JSON.stringify({ level, time: 1, ...more });

test.for([
  ['nothing was wrong', [line(30, { msg: 'ready' })], ''],
  [
    'the last complaint',
    [line(50, { msg: 'ends', error: { message: 'The disk is full', stack: 'x' } }), line(30, { msg: 'stops' })],
    'The disk is full',
  ],
  ['a complaint without an error', [line(40, { msg: 'lead-lost' })], 'lead-lost'],
  [
    'what is not ours',
    [line(30, { msg: 'ready' }), 'switchyard agent cannot start:', '  Unknown option --foo'],
    'switchyard agent cannot start:\n  Unknown option --foo',
  ],
] as const)('the last words of a process for people: %s', ([, log, words]) => {
  expect(lastWords(log.join('\n'))).toBe(words);
});
