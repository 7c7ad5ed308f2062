import { readdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { startRedis } from '../fixtures/redis.ts';
import { ROOT } from '../fixtures/root.ts';
import { tempDir } from '../fixtures/temp-dir.ts';
import { output } from '../fixtures/run.ts';
import { filesBesideCode } from './sources.ts';

test('the package has every file that the program reads, and runs from where Node takes no TypeScript', async () => {
  await output(process.execPath, [join(ROOT, 'scripts/package.ts')]);
  const tarball = readdirSync(join(ROOT, 'dist')).find((name) => name.endsWith('.tgz'));
  await using dir = await tempDir();
  await output('tar', ['-xzf', join(ROOT, 'dist', tarball ?? ''), '-C', dir.path]);
  const root = join(dir.path, 'package');
  const there = new Set(readdirSync(root, { recursive: true, encoding: 'utf8' }));
  const wanted = filesBesideCode();
  expect(wanted).toContain('proto/switchyard/v1/agent.proto');
  expect(wanted.some((file) => file.endsWith('.lua'))).toBe(true);
  expect(wanted.filter((file) => !there.has(file))).toEqual([]);
  expect([...there].filter((file) => file.endsWith('.ts') && !file.endsWith('.d.ts'))).toEqual([]);

  symlinkSync(join(ROOT, 'node_modules'), join(root, 'node_modules'));
  await using redis = await startRedis();
  const env = { PATH: process.env['PATH'], HOME: dir.path, SWITCHYARD_COORDINATOR_REDIS_URL: redis.url };
  const text = await output(process.execPath, [join(root, 'bin/switchyard.js'), 'doctor', '-o', 'json'], { cwd: dir.path, env });
  // The scripts for Redis are read beside the compiled code.
  expect(JSON.parse(text)).toMatchObject({ findings: expect.arrayContaining([expect.objectContaining({ check: 'redis', result: 'ok' })]) });
});
