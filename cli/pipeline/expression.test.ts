import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { evaluate, ExpressionError, parseExpression, partsOf, type Names } from './expression.ts';

const NAMES: Names = {
  groups: { git: { open: false, values: { branch: 'main', count: 3, dirty: false } }, env: { open: true, values: { A: '1' } } },
  hash: (patterns) =>
    patterns.includes('gone')
      ? { wrong: 'there is no file "gone"' }
      : { digest: 'd', files: patterns.map((path) => ({ path, digest: `of ${path}` })) },
};

function run(text: string) {
  return evaluate(parseExpression(text), NAMES);
}

test.for([
  ["'a'", 'a'],
  ['git.branch', 'main'],
  ['env.NOT_SET', ''],
  ["git.branch == 'main'", true],
  ['git.count == 3', true],
  ["git.count == '3'", true],
  ["'1.10' == '1.1'", false],
  ['1.10 == 1.1', true],
  ['git.count > 2 && !git.dirty', true],
  ['false || true && false', false],
  ['(false || true) && true', true],
  ["contains(git.branch, 'ai')", true],
  ["endsWith('abc', 'c')", true],
  ['-1 < 0', true],
  ["hash('a', 'b/*') == 'd'", true],
] as const)('%s', ([text, value]) => {
  expect(run(text)).toBe(value);
});

test('the parts of a value are names, files, and expressions with their values; what is only compared is not told', () => {
  const parts = (written: string) => partsOf(written, NAMES);
  expect(parts(' env.A ')).toEqual([{ name: 'env.A', value: '1' }]);
  expect(parts("hash('f', git.branch)")).toEqual([
    { name: 'file f', value: 'of f' },
    { name: 'file main', value: 'of main' },
  ]);
  expect(parts("env.A == 'x' || startsWith(hash('f'), 'd')")).toEqual([
    { name: "env.A == 'x' || startsWith(hash('f'), 'd')", value: 'true' },
  ]);
  const many = Array.from({ length: 40 }, (_, index) => `'f${index}'`).join(', ');
  expect(parts(`hash(${many})`)).toEqual([{ name: `files of hash(${many})`, value: 'd' }]);
  expect(parts("'text'")).toEqual([]);
});

test('a hash of what is not there is a mistake', () => {
  expect(() => run("hash('gone')")).toThrow('there is no file "gone"');
  expect(() => run('hash()')).toThrow('expected a value');
  expect(() => run("hash('a'")).toThrow('expected ")"');
});

describe('mistakes are explained', () => {
  test.for([
    ['git.branhc', '"git" has no "branhc"', 'Did you mean "branch"?'],
    ['gti.branch', 'there is no name "gti.branch"', 'Did you mean "git.…"?'],
    ['main', 'there is no name "main"', "Known: git.…, env.…. Put text in quotes: 'main'."],
    ["git.branch = 'main'", '"=" has no meaning here', 'Compare with "==".'],
    ['git.branch ==', 'expected a value but the expression ends', undefined],
    ["(git.branch == 'x'", 'expected ")" but the expression ends', undefined],
    ["'a' 'b'", "expected the end but found 'b'", undefined],
    ["startWith(git.branch, 'x')", 'there is no function "startWith"', 'Did you mean "startsWith"?'],
    ['git.branch && true', 'expected true or false, but found "main"', "Compare it: x == 'text'."],
    ["git.branch < 'x'", '"<" needs two numbers, but found "main" and "x"', undefined],
  ] as const)('%s', ([text, message, hint]) => {
    try {
      run(text);
      expect.unreachable();
    } catch (error) {
      expect(error).toBeInstanceOf(ExpressionError);
      expect(error).toMatchObject({ message, hint });
    }
  });
});

test('any text is either an expression or refused with a reason', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      try {
        run(text);
      } catch (error) {
        expect(error).toBeInstanceOf(ExpressionError);
      }
    }),
  );
});
