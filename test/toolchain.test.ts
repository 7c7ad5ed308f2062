import { spawnSync } from 'node:child_process';
import { readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { needs } from './fixtures/host.ts';
import { ROOT } from './fixtures/root.ts';
import { tempDir } from './fixtures/temp-dir.ts';

const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { scripts: Record<string, string> }; // npm's format

/** PATH as a person's shell has it: without what npm puts in front. */
const plainPath = (process.env['PATH'] ?? '')
  .split(delimiter)
  .filter((dir) => !dir.includes('node_modules'))
  .join(delimiter);

describe.runIf(needs('npm'))('npm scripts', () => {
  test('run under the Node that the project brings, whatever node is on PATH', async () => {
    await using dir = await tempDir();
    writeFileSync(join(dir.path, 'package.json'), JSON.stringify({ scripts: { version: 'node -p process.versions.node' } }));
    symlinkSync(join(ROOT, 'node_modules'), join(dir.path, 'node_modules'));
    const run = spawnSync('npm', ['--silent', 'run', 'version'], {
      cwd: dir.path,
      encoding: 'utf8',
      env: { PATH: plainPath, HOME: dir.path },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    expect(run.stdout).toMatch(/^24\./);
  });
});

test('npm scripts start nothing that is not installed with the project', () => {
  const tools = new Set(Object.values(manifest.scripts).map((command) => command.split(' ')[0] ?? ''));
  const bins = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as { packages: Record<string, { bin?: object }> }; // npm's format
  const installed = new Set(Object.values(bins.packages).flatMap(({ bin }) => Object.keys(bin ?? {})));
  expect([...tools].filter((tool) => !installed.has(tool))).toEqual([]);
});

test('every script that a page names is there', () => {
  for (const page of ['CONTRIBUTING.md', '.ci/run']) {
    const text = readFileSync(join(ROOT, page), 'utf8');
    for (const [, name = ''] of text.matchAll(/npm (?:--silent )?run ([a-z:]+)/g)) expect(manifest.scripts, page).toHaveProperty([name]);
  }
});

test('no page shows a bare node, which may be too old', () => {
  for (const page of ['CONTRIBUTING.md', 'README.md']) {
    let text = '';
    try {
      text = readFileSync(join(ROOT, page), 'utf8');
    } catch {
      continue;
    }
    expect(text).not.toMatch(/(^|`|\$ )node [a-z./-]+\.[jt]s/m);
  }
});
