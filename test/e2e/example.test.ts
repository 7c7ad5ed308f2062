import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { hashToken } from '../../base/auth.ts';
import { ROOT } from '../fixtures/root.ts';
import { startNode } from '../fixtures/run-process.ts';
import { tempDir, type TempDir } from '../fixtures/temp-dir.ts';
import { startRealYard, type RealYard } from './real-yard.ts';
import { PATIENCE_MS } from '../fixtures/until.ts';

const TOKEN = 'a-ci-systems-token';

let dir: TempDir;
let yard: RealYard;

beforeAll(async () => {
  dir = await tempDir();
  const tokensFile = join(dir.path, 'tokens.json');
  const entry = {
    name: 'ci',
    sha256: hashToken(TOKEN),
    kind: 'caller',
    role: 'submitter',
    project: 'shop',
    scope: 'main',
    zoneCeiling: 'trusted',
  };
  writeFileSync(tokensFile, JSON.stringify([entry]), { mode: 0o600 });
  yard = await startRealYard({ agents: ['one'], coordinatorArgs: ['--tokens-file', tokensFile] });
}, PATIENCE_MS * 2);

afterAll(async () => {
  await yard[Symbol.asyncDispose]();
  await dir[Symbol.asyncDispose]();
});

/** As docs/ci-systems.md says it is run. */
async function example(...token: readonly string[]) {
  await using run = startNode([join(ROOT, 'docs/examples/follow-a-build.mjs'), yard.address, join(ROOT, 'proto'), ...token], {
    cwd: dir.path,
  });
  const { code } = await run.ended;
  return { code, stdout: run.stdout(), stderr: run.stderr() };
}

test('the example follows a build with the proto files and a gRPC client alone', async () => {
  expect(await example()).toEqual({ code: 0, stdout: 'hello from Linux\n', stderr: 'greet: STEP_VERDICT_SUCCEEDED \n' });
});

test('the example shows a token, and its build belongs to the project of that', async () => {
  expect(await example(TOKEN)).toMatchObject({ code: 0, stdout: 'hello from Linux\n' });
  const wrong = await example('another-token');
  expect(wrong.code).toBe(1);
  expect(wrong.stderr).toContain('UNAUTHENTICATED: The token is not known here');
  const own = await yard.server.list({ labels: {}, phase: undefined, verdict: undefined, limit: 10 }, new AbortController().signal);
  expect(own.map((build) => build.project)).toEqual(['local']);
});
