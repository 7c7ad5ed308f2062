import { expect, test } from 'vitest';
import { globMatcher, globProblem } from './glob.ts';

test.for([
  ['bin', ['bin', 'bin/a', 'bin/b/c'], ['binary', 'a/bin', 'b']],
  ['./bin/', ['bin', 'bin/a'], ['bind']],
  ['bin/*', ['bin/a', 'bin/.hidden'], ['bin', 'bin/a/b', 'bin2/a']],
  ['**/*.h', ['x.h', 'a/b/x.h', '.h'], ['x.hpp', 'a/x.h/y']],
  ['a/**', ['a', 'a/b', 'a/b/c'], ['b', 'ab']],
  ['a/**/z', ['a/z', 'a/b/z', 'a/b/z/c/z'], ['a/b', 'z', 'a/z/y']],
  ['?ib*.so.?', ['lib.so.1', 'libc.so.6'], ['lib.so', 'ib.so.1', 'lib.so.10']],
  ['a.b', ['a.b'], ['axb']],
] as const)('%s', ([glob, inside, outside]) => {
  expect(globProblem(glob)).toBeUndefined();
  const matches = globMatcher(glob);
  expect([...inside, ...outside].filter((path) => matches(path))).toEqual([...inside]);
});

test('what other globs mean by more is refused, not misread', () => {
  for (const glob of ['', 'x'.repeat(257), '*.{h,c}', '[ab]', '+(a)', '!a', 'a\\b', '/a', 'a/../b', 'a**', 'a\nb'])
    expect([glob, globProblem(glob)]).toEqual([glob, expect.any(String)]);
});

test('a glob that is made to take long does not', () => {
  const glob = `${'a*'.repeat(120)}b`;
  const started = process.cpuUsage();
  for (let index = 0; index < 100; index += 1) expect(globMatcher(glob)('a'.repeat(255))).toBe(false);
  for (let index = 0; index < 100; index += 1) expect(globMatcher(`${'**/a/'.repeat(50)}b`)('a/'.repeat(1_000))).toBe(false);
  expect(process.cpuUsage(started).user / 1e6).toBeLessThan(10);
});
