import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
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

test('removes a file, a link, and a tree with locked, empty and large directories', async () => {
  await using dir = await tempDir();
  const at = (...names: string[]) => path.join(dir.path, ...names);
  fs.writeFileSync(at('file'), '');
  fs.symlinkSync('nowhere', at('link'));
  for (const name of ['top/empty', 'top/a/b/c', 'top/locked/in', 'top/large']) fs.mkdirSync(at(name), { recursive: true });
  for (const name of ['top/a/1', 'top/a/b/2', 'top/a/b/c/3', 'top/locked/in/4']) fs.writeFileSync(at(name), '');
  for (let number = 0; number < 1_000; number += 1) fs.writeFileSync(at('top/large', String(number)), '');
  fs.chmodSync(at('top/locked'), 0);
  for (const name of ['file', 'link', 'top']) await removeTree(at(name));
  expect(fs.readdirSync(dir.path)).toEqual([]);
});

test('takes the memory of few files, however many a tree has', async () => {
  await using dir = await tempDir();
  const top = path.join(dir.path, 'top');
  for (let directory = 0; directory < 20; directory += 1) {
    fs.mkdirSync(path.join(top, String(directory)), { recursive: true });
    for (let number = 0; number < 500; number += 1) fs.writeFileSync(path.join(top, String(directory), String(number)), '');
  }
  let most = 0;
  const flow = { under: true };
  const removing = removeTree(top).finally(() => (flow.under = false));
  while (flow.under) {
    most = Math.max(most, process.getActiveResourcesInfo().filter((name) => name === 'FSReqPromise' || name === 'FSReqCallback').length);
    await nextTurn();
  }
  await removing;
  expect(fs.existsSync(top)).toBe(false);
  expect(most).toBeGreaterThan(0);
  expect(most).toBeLessThan(1_000);
});
