import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { isIgnored, parseIgnore } from './ignore.ts';
import { InputSelector, wantedBy } from './select.ts';
import { ignoredIn, scanWorkTree } from './work-tree.ts';

describe('ignore files mean what they mean to git', () => {
  test.for([
    ['*.log', 'a.log', false, true],
    ['*.log', 'x/y/a.log', false, true],
    ['/a', 'a', false, true],
    ['/a', 'x/a', false, false],
    ['dist/', 'dist', true, true],
    ['dist/', 'dist', false, false],
    ['a/b', 'a/b', false, true],
    ['a/b', 'x/a/b', false, false],
    ['**/b', 'x/a/b', false, true],
    ['a/**', 'a/x/y', false, true],
    ['# comment', '# comment', false, false],
    ['\\#name', '#name', false, true],
    ['*.log\n!keep.log', 'keep.log', false, false],
    ['!keep.log\n*.log', 'keep.log', false, true],
    ['{a,b}', 'a', false, false],
    ['trailing  ', 'trailing', false, true],
    ['.*', '.env', false, true],
    ['a?c', 'abc', false, true],
    ['[ab]c', 'bc', false, true],
  ] as const)('%j and %s', ([rules, file, directory, ignored]) => {
    expect(isIgnored([parseIgnore(rules, '')], file, directory)).toBe(ignored);
  });

  test('the file nearer to the path has the last word', () => {
    const files = [parseIgnore('*.txt', ''), parseIgnore('!a.txt', 'sub')];
    expect([isIgnored(files, 'a.txt', false), isIgnored(files, 'sub/a.txt', false), isIgnored(files, 'sub/b.txt', false)]).toEqual([
      true,
      false,
      true,
    ]);
  });
});

describe('input patterns', () => {
  let root = '';
  beforeEach(() => {
    root = fs.mkdtempSync(path.join(os.tmpdir(), 'switchyard-inputs-'));
    const write = (file: string) => {
      fs.mkdirSync(path.dirname(path.join(root, file)), { recursive: true });
      fs.writeFileSync(path.join(root, file), file);
    };
    for (const file of [
      'a.ts',
      'a.test.ts',
      'src/b.ts',
      'src/deep/c.ts',
      'src/deep/c.md',
      'node_modules/m/x.js',
      'gen/out.ts',
      '.git/HEAD',
      '.switchyard/s',
    ])
      write(file);
    fs.writeFileSync(path.join(root, '.gitignore'), 'node_modules/\ngen/\n');
  });
  afterEach(() => fs.rmSync(root, { recursive: true, force: true }));

  const chosen = async (include: readonly string[], exclude: readonly string[] = [], ignored = false) => {
    const inputs = { include, exclude, ignored };
    const tree = await scanWorkTree(
      root,
      { ignore: [], wanted: wantedBy([inputs]), emptyDirectories: 'drop' },
      AbortSignal.timeout(10_000),
    );
    const { entries, unmatched } = new InputSelector(tree).select(inputs);
    return {
      files: entries.map((entry) => entry.path).toSorted(),
      unmatched: unmatched.map(({ pattern, literal }) => ({ pattern, literal })),
    };
  };

  test.for([
    [['src'], [], ['src/b.ts', 'src/deep/c.md', 'src/deep/c.ts']],
    [['./src/'], [], ['src/b.ts', 'src/deep/c.md', 'src/deep/c.ts']],
    [['src/*'], [], ['src/b.ts']],
    [['**/*.ts'], ['**/*.test.ts'], ['a.ts', 'src/b.ts', 'src/deep/c.ts']],
    [['*'], [], ['.gitignore', 'a.test.ts', 'a.ts']],
    [['{a,src/b}.ts'], [], ['a.ts', 'src/b.ts']],
    [['.'], ['src'], ['.gitignore', 'a.test.ts', 'a.ts']],
  ] as const)('%j without %j', async ([include, exclude, files]) => {
    expect(await chosen(include, exclude)).toEqual({ files, unmatched: [] });
  });

  test('history, our own state and ignored files are never chosen', async () => {
    const { files } = await chosen(['**']);
    expect(files.filter((file) => /^(\.git\/|\.switchyard|node_modules|gen)/.test(file))).toEqual([]);
  });

  test('what no step wants is not in the way', async () => {
    fs.symlinkSync('/etc/passwd', path.join(root, 'src/out'));
    fs.symlinkSync('/nowhere', path.join(root, 'dangling'));
    expect((await chosen(['src/deep', 'a.*'])).files).toEqual(['a.test.ts', 'a.ts', 'src/deep/c.md', 'src/deep/c.ts']);
    await expect(chosen(['src'])).rejects.toMatchObject({ code: 'PATH_ESCAPES', message: expect.stringContaining('"src/out"') });
  });

  test('ignored files can be asked for', async () => {
    expect((await chosen(['gen'], [], true)).files).toEqual(['gen/out.ts']);
    expect((await chosen(['.switchyard', '.git'], [], true)).files).toEqual([]);
  });

  test('patterns that choose nothing are told apart from files that are not there', async () => {
    expect((await chosen(['a.ts', 'nope.txt', 'x/**'])).unmatched).toEqual([
      { pattern: 'nope.txt', literal: true },
      { pattern: 'x/**', literal: false },
    ]);
  });

  test('whatever lies below an ignored directory is ignored', () => {
    const ignored = ignoredIn(root);
    expect(['gen', 'gen/out.ts', 'node_modules/m/x.js', 'src/b.ts'].map(ignored)).toEqual([true, true, true, false]);
  });
});
