import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { tempDir } from '../../test/fixtures/temp-dir.ts';
import { removeTree } from './remove.ts';

test('removes a tree that is deeper than any path can say, with locked directories in it', async () => {
  await using dir = await tempDir();
  const top = path.join(dir.path, 'top');
  fs.mkdirSync(top);
  const name = 'd'.repeat(100);
  const script = 'cd "$1"; for i in $(seq 60); do mkdir "$2" && cd -P "$2" || exit 1; done; mkdir locked locked/in; chmod 0 locked';
  execFileSync('/bin/bash', ['-c', script, 'bash', top, name]);
  await removeTree(top);
  expect(fs.existsSync(top)).toBe(false);
});

test('follows no link, and what is not there is fine', async () => {
  await using dir = await tempDir();
  fs.mkdirSync(path.join(dir.path, 'kept'));
  fs.writeFileSync(path.join(dir.path, 'kept/file'), '');
  fs.mkdirSync(path.join(dir.path, 'top'));
  fs.symlinkSync('../kept', path.join(dir.path, 'top/link'));
  await removeTree(path.join(dir.path, 'top'));
  await removeTree(path.join(dir.path, 'nothing'));
  expect(fs.readdirSync(dir.path)).toEqual(['kept']);
  expect(fs.readdirSync(path.join(dir.path, 'kept'))).toEqual(['file']);
});
