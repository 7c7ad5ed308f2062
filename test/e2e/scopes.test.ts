import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { hashToken } from '../../base/auth.ts';
import { runSwitchyard } from '../fixtures/run-process.ts';
import { tempDir, type TempDir } from '../fixtures/temp-dir.ts';
import { startRealYard, writeFiles, type RealYard } from './real-yard.ts';
import { PATIENCE_MS } from '../fixtures/until.ts';

/* Callers of several scopes on one yard: who uses whose results and files, and what steps get to see of all that. */

let dir: TempDir;
let yard: RealYard;

beforeAll(async () => {
  dir = await tempDir();
  const tokensFile = join(dir.path, 'tokens.json');
  const entries = ['main', 'main/pr-7'].map((scope) => {
    const name = scope.replaceAll('/', '.');
    writeFileSync(join(dir.path, name), `token-of-${name}`, { mode: 0o600 });
    const place = { project: 'shop', scope, zoneCeiling: 'trusted' };
    return { name, sha256: hashToken(`token-of-${name}`), kind: 'caller', role: 'submitter', ...place };
  });
  writeFileSync(tokensFile, JSON.stringify(entries), { mode: 0o600 });
  yard = await startRealYard({ agents: ['one'], coordinatorArgs: ['--tokens-file', tokensFile] });
}, PATIENCE_MS * 2);

afterAll(async () => {
  await yard[Symbol.asyncDispose]();
  await dir[Symbol.asyncDispose]();
});

/** Runs the pipeline as the caller of the scope; `made` is what its last step says, and `where` how its steps ended. */
async function run(caller: string, text: string, args: readonly string[] = []) {
  await writeFiles(yard.work, {
    'switchyard.yaml':
      'version: 1\nsteps:\n' +
      '  make: { run: "cat input > out; date +%s%N >> out", inputs: [input], outputs: [out] }\n' +
      '  use: { run: "cat out", needs: make, cache: false, sideEffects: false }\n',
    input: text,
  });
  const at = [...yard.at, '--token-file', join(dir.path, caller.replaceAll('/', '.'))];
  const done = await runSwitchyard(['run', '-o', 'json', ...args, ...at], { cwd: yard.work });
  const lines = done.stdout.split('\n').filter((line) => line.startsWith('{'));
  const build = /"build":"(b-[0-9a-z]+)"/.exec(lines.join('\n'))?.[1] ?? '';
  const logs = build === '' ? { stdout: '' } : await runSwitchyard(['logs', build, 'use', ...at], { cwd: yard.work });
  return { code: done.code, stderr: done.stderr, build, made: logs.stdout };
}

test(
  'a result of main serves the scopes below it with its files, and nothing of theirs serves main',
  { timeout: PATIENCE_MS * 4 },
  async () => {
    const first = await run('main', 'first\n');
    expect([first.code, first.made]).toEqual([0, expect.stringMatching(/^first\n\d+\n$/)]);
    expect((await run('main/pr-7', 'first\n')).made).toBe(first.made); // the very bytes, which name the time of the run
    const below = await run('main/pr-7', 'second\n');
    expect([below.code, below.made]).toEqual([0, expect.stringMatching(/^second\n\d+\n$/)]);
    expect((await run('main/pr-7', 'second\n')).made).toBe(below.made);
    const above = await run('main', 'second\n');
    expect([above.code, above.made]).toEqual([0, expect.stringMatching(/^second\n\d+\n$/)]);
    expect(above.made).not.toBe(below.made);
  },
);

test('a caller lowers its build, and cannot raise it', { timeout: PATIENCE_MS * 4 }, async () => {
  const lowered = await run('main', 'third\n', ['--scope', 'main/pr-9']);
  expect([lowered.code, lowered.made]).toEqual([0, expect.stringMatching(/^third\n/)]);
  const tainted = await run('main', 'third\n', ['--untrusted-input', 'fork someone/shop@1']);
  expect([tainted.code, tainted.made === lowered.made]).toEqual([0, false]);
  const own = await run('main', 'third\n');
  expect([own.code, own.made === lowered.made, own.made === tainted.made]).toEqual([0, false, false]);
  const raised = await run('main/pr-7', 'third\n', ['--scope', 'main']);
  expect(raised.code).not.toBe(0);
  expect(raised.stderr).toContain('main/pr-7');
});

test('neither a step nor the disk of its agent has a grant', { timeout: PATIENCE_MS * 2 }, async () => {
  const GRANT = /sy1\.[A-Za-z0-9_-]{20,}\.[A-Za-z0-9_-]{43}/;
  const agentDir = join(yard.dir, 'one');
  const look = `env; cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null | tr '\\\\000' '\\\\n'; grep -rshoa 'sy1[.][A-Za-z0-9_-]*' ${agentDir} . || true; echo looked`;
  await writeFiles(yard.work, { 'look.yaml': `version: 1\nsteps:\n  look: { run: "${look}", cache: false, sideEffects: false }\n` });
  const done = await runSwitchyard(['run', '-f', 'look.yaml', '-o', 'json', ...yard.at], { cwd: yard.work });
  const build = /"build":"(b-[0-9a-z]+)"/.exec(done.stdout)?.[1] ?? '';
  const { stdout } = await runSwitchyard(['logs', build, 'look', ...yard.at], { cwd: yard.work });
  expect(stdout).toContain('looked');
  expect(stdout).not.toMatch(GRANT);
  for (const name of readdirSync(agentDir, { recursive: true, encoding: 'utf8' })) {
    const file = join(agentDir, name);
    if (statSync(file, { throwIfNoEntry: false })?.isFile() === true)
      expect([name, GRANT.test(readFileSync(file, 'latin1'))]).toEqual([name, false]);
  }
});
