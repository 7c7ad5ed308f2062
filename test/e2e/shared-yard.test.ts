import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ROOT } from '../fixtures/root.ts';
import { runSwitchyard, startSwitchyard } from '../fixtures/run-process.ts';
import { tempDir } from '../fixtures/temp-dir.ts';
import { until } from '../fixtures/until.ts';
import { writeFiles } from './real-yard.ts';

/** A pipeline that ends when a file appears at the gate. */
function gated(gate: string): string {
  return `version: 1\nsteps:\n  a: { run: 'while [ ! -e "${gate}" ]; do sleep 0.05; done; echo through', cache: false, timeout: 5m, labels: class=central }\n`;
}

describe('one directory and several commands', () => {
  test('who comes while a yard starts joins it, and its owner keeps it for as long as somebody uses it', async () => {
    await using dir = await tempDir();
    const gates = { first: join(dir.path, 'gate-1'), second: join(dir.path, 'gate-2') };
    await writeFiles(dir.path, { 'first.yaml': gated(gates.first), 'second.yaml': gated(gates.second) });
    const command = (file: string) => startSwitchyard(['run', '--embedded', '--sandbox', 'process', '-f', file], { cwd: dir.path });
    await using first = command('first.yaml');
    await until('the first one starts a yard', () => existsSync(join(dir.path, '.switchyard/yard.lock')));
    await using second = command('second.yaml');
    const guests = join(dir.path, '.switchyard/guests');
    await until('the second one waits for that', () => existsSync(guests) && readdirSync(guests).length === 1);
    await until('both builds run', () => [first, second].every((run) => run.stdout().includes('a  runs on central-1')));
    writeFileSync(gates.first, '');
    await until('the first one waits for the second', () => first.stderr().includes('Another command uses this yard'));
    writeFileSync(gates.second, '');
    expect([await first.ended, await second.ended]).toEqual([
      { code: 0, signal: null },
      { code: 0, signal: null },
    ]);
    expect(second.stderr()).toBe('');
  });

  test('a lock of a process whose number somebody else has got is taken over', async () => {
    await using dir = await tempDir();
    await writeFiles(dir.path, {
      '.switchyard/yard.lock': `${process.pid} 1\n`,
      'switchyard.yaml': 'version: 1\nsteps:\n  a: { run: echo fine, cache: false, timeout: 1m }\n',
    });
    expect((await runSwitchyard(['run', '--embedded'], { cwd: dir.path })).code).toBe(0);
  });

  test('a directory that cannot be written is said in plain words', async () => {
    await using dir = await tempDir();
    await writeFiles(dir.path, { '.switchyard': 'a file in its place' });
    const { code, stderr } = await runSwitchyard(['up'], { cwd: dir.path });
    expect(code).toBe(2);
    expect(stderr).toMatch(/^switchyard: The state directory .*\.switchyard cannot be made \([A-Z]+\)\n {4}fix: Run it in a directory/);
  });
});

test('what a slow reader of a pipe has not taken yet is not lost at the end', async () => {
  await using dir = await tempDir();
  const steps = Array.from({ length: 5_000 }, (_, index) => `  s${index}: { run: x }\n`).join('');
  await writeFiles(dir.path, { 'switchyard.yaml': `version: 1\nsteps:\n${steps}` });
  const lint = spawn(process.execPath, [join(ROOT, 'bin/switchyard.js'), 'lint'], { cwd: dir.path, stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(lint, 'exit');
  let text = '';
  lint.stdout.setEncoding('utf8');
  for await (const piece of lint.stdout) {
    // Each piece costs the reader a turn of its own, in which the writer gets ahead of it.
    await new Promise((resolve) => setImmediate(resolve));
    text += String(piece);
  }
  expect(await ended).toEqual([0, null]);
  expect(text.slice(-60)).toMatch(/switchyard\.yaml: 0 errors, 10000 warnings, 5000 steps\n$/);
});
