import fs from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { tempDir } from '../../test/fixtures/temp-dir.ts';
import { agentsDir } from './agents-dir.ts';

test('agents work outside of the work tree, each yard in a directory of its own that stays the same', async () => {
  await using dir = await tempDir();
  const env = { HOME: dir.path };
  const one = agentsDir('/src/shop/.switchyard', env);
  expect(path.dirname(one)).toBe(path.join(dir.path, '.cache/switchyard'));
  expect(fs.statSync(one).mode & 0o777).toBe(0o700);
  expect(agentsDir('/src/shop/.switchyard', env)).toBe(one);
  expect(agentsDir('/other/shop/.switchyard', env)).not.toBe(one);
  const named = { ...env, XDG_CACHE_HOME: path.join(dir.path, 'named') };
  expect(path.dirname(agentsDir('/src/shop/.switchyard', named))).toBe(path.join(dir.path, 'named/switchyard'));
});

test('agents work in the state directory where the user has no cache directory, or has it in the work tree', async () => {
  await using dir = await tempDir();
  fs.writeFileSync(path.join(dir.path, 'file'), '');
  const state = path.join(dir.path, '.switchyard');
  const inside = path.join(state, 'agents');
  expect(agentsDir(state, {})).toBe(inside);
  expect(agentsDir(state, { HOME: 'relative' })).toBe(inside);
  expect(agentsDir(state, { HOME: dir.path })).toBe(inside);
  expect(agentsDir('/src/.switchyard', { HOME: path.join(dir.path, 'file') })).toBe('/src/.switchyard/agents');
});
