import { describe, expect, test } from 'vitest';
import { joinPath, linkEscapes, splitPath } from './path.ts';

describe('paths', () => {
  test.for([
    ['', 'a', 'a'],
    ['.', './a//b/', 'a/b'],
    ['w', '../x', 'x'],
    ['w/v', '..', 'w'],
    ['w', '', 'w'],
    ['', '', ''],
  ] as const)('%s and %s make %s', ([directory, path, expected]) => {
    expect(joinPath(directory, path)).toBe(expected);
  });

  test.for([
    ['', '..', 'PATH_ESCAPES'],
    ['w', '../../x', 'PATH_ESCAPES'],
    ['w', '/x', 'PATH_ESCAPES'],
    ['', 'a/../../a', 'PATH_ESCAPES'],
    ['', 'a\0b', 'BAD_REQUEST'],
  ] as const)('%s and %s are refused', ([directory, path, code]) => {
    expect(() => joinPath(directory, path)).toThrow(expect.objectContaining({ code }));
    expect(() => splitPath(directory === '' ? path : '/')).toThrow();
  });

  test.for([
    ['l', 'a', false],
    ['l', 'a/../b', false],
    ['l', '..', true],
    ['d/l', '..', false],
    ['d/l', '../..', true],
    ['d/l', '../../d/x', true],
    ['l', '/abs', true],
    ['a/b/l', '../../c', false],
  ] as const)('a link at %s to %s escapes: %s', ([at, target, escapes]) => {
    expect(linkEscapes(at, target)).toBe(escapes);
  });
});
