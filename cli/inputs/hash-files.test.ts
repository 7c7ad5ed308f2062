import fs from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { tempDir } from '../../test/fixtures/temp-dir.ts';
import type { HashedFiles } from '../pipeline/expression.ts';
import { fileHasher } from './hash-files.ts';

async function workTree(files: Readonly<Record<string, string>>) {
  const dir = await tempDir();
  for (const [name, text] of Object.entries(files)) {
    fs.mkdirSync(path.dirname(path.join(dir.path, name)), { recursive: true });
    fs.writeFileSync(path.join(dir.path, name), text);
  }
  return dir;
}

/** Hashes as a new submission does. */
function hash(root: string, ...patterns: string[]): HashedFiles {
  const found = fileHasher(root)(patterns, []);
  if ('wrong' in found) throw new Error(found.wrong);
  return found;
}

const LOCKS = { 'package-lock.json': 'one', 'packages/a/package-lock.json': 'two', 'packages/b/package-lock.json': 'three' };

test('the digest is of paths and contents, whatever the order and however often a file is named', async () => {
  await using dir = await workTree(LOCKS);
  const whole = hash(dir.path, '**/package-lock.json');
  expect(whole.digest).toMatch(/^[0-9a-f]{64}$/);
  expect(whole.files.map((file) => file.path)).toEqual(Object.keys(LOCKS));
  expect(hash(dir.path, 'packages/b', 'packages/*/package-lock.json', './package-lock.json')).toEqual(whole);
  fs.writeFileSync(path.join(dir.path, 'packages/b/package-lock.json'), 'four');
  const changed = hash(dir.path, '**/package-lock.json');
  expect(changed.digest).not.toBe(whole.digest);
  expect(changed.files.slice(0, 2)).toEqual(whole.files.slice(0, 2));
  fs.renameSync(path.join(dir.path, 'packages/b'), path.join(dir.path, 'packages/c'));
  expect(hash(dir.path, '**/package-lock.json').digest).not.toBe(changed.digest);
});

test('patterns leave out what ignore files name and our own state; a file that is named itself counts', async () => {
  const ignored = { '.gitignore': 'node_modules/\ngenerated.lock\n', 'node_modules/x/package-lock.json': 'x', 'generated.lock': 'g' };
  await using dir = await workTree({ ...LOCKS, ...ignored, '.git/package-lock.json': 'h', '.switchyard/package-lock.json': 's' });
  expect(hash(dir.path, '**/package-lock.json').files).toHaveLength(3);
  expect(fileHasher(dir.path)(['*.lock'], [])).toEqual({ wrong: 'nothing matches "*.lock"' });
  expect(hash(dir.path, 'generated.lock').files).toHaveLength(1);
  expect(fileHasher(dir.path)(['packages/*/*'], ['packages/a/'])).toMatchObject({ files: [{ path: 'packages/b/package-lock.json' }] });
});

test('a link counts by where it points to, and is not followed', async () => {
  await using dir = await workTree({ a: 'x' });
  fs.symlinkSync('/does/not/exist', path.join(dir.path, 'link'));
  const before = hash(dir.path, 'link').digest;
  fs.rmSync(path.join(dir.path, 'link'));
  fs.symlinkSync('a', path.join(dir.path, 'link'));
  expect(hash(dir.path, 'link').digest).not.toBe(before);
});

test.for([
  [['gone'], 'there is no file or directory "gone"'],
  [['package-lock.json', 'gone.json'], 'there is no file or directory "gone.json"'],
  [['*.toml', '*.lock'], 'nothing matches "*.toml", "*.lock"'],
  [['../x'], '"../x" is no path inside the work tree'],
  [['/etc/passwd'], '"/etc/passwd" is no path inside the work tree'],
  [['packages/../../x'], '"packages/../../x" is no path inside the work tree'],
] as const)('%j is refused: %s', async ([patterns, wrong]) => {
  await using dir = await workTree(LOCKS);
  expect(fileHasher(dir.path)(patterns, [])).toEqual({ wrong });
});
