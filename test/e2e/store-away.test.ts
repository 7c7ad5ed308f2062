import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { startFakeS3, type FakeS3 } from '../fixtures/fake-s3.ts';
import { runSwitchyard, startSwitchyard } from '../fixtures/run-process.ts';
import { PATIENCE_MS, until } from '../fixtures/until.ts';
import { endOf, startRealYard, stepOf, submittedBy, writeFiles, type RealYard } from './real-yard.ts';

const never = new AbortController().signal;

let s3: FakeS3;
let yard: RealYard;

beforeEach(async () => {
  s3 = await startFakeS3();
  const store = ['--store', 's3', '--s3-endpoint', s3.endpoint, '--s3-bucket', s3.bucket, '--s3-access-key-id', s3.traits.keys.accessKeyId];
  yard = await startRealYard({
    agents: ['one', 'two', 'three'],
    coordinatorArgs: store,
    agentArgs: ['--sandbox', 'process'],
    env: { SWITCHYARD_CACHE_S3_SECRET_ACCESS_KEY: s3.traits.keys.secretAccessKey },
  });
}, PATIENCE_MS * 2);

afterEach(async () => {
  await yard[Symbol.asyncDispose]();
  await s3[Symbol.asyncDispose]();
});

function cut(): void {
  s3.decide = () => ({ kind: 'drop' });
}

function heal(): void {
  s3.decide = () => undefined;
}

const staging = () => join(yard.dir, 'coordinator', 'blobs', 'staging');

async function entryCount(): Promise<number> {
  const { stdout, stderr } = await runSwitchyard(['cache', 'ls', '-o', 'json', ...yard.at], { cwd: yard.work });
  const listed: unknown = JSON.parse(stdout);
  if (typeof listed !== 'object' || listed === null || !('entries' in listed) || !Array.isArray(listed.entries)) throw new Error(stderr);
  return listed.entries.length;
}

async function run(): Promise<string> {
  await using running = startSwitchyard(['run', ...yard.at, '-o', 'json'], { cwd: yard.work });
  const build = await submittedBy(running);
  await running.ended;
  return build;
}

const CHAIN = `version: 1
name: chain
steps:
  compile: { run: 'cat source > object && echo compiled >> object', inputs: source, outputs: [object], labels: name=one, timeout: 1m }
  link: { run: 'cat object > program && echo linked >> program', needs: compile, outputs: [program], labels: name=two, timeout: 1m }
  check: { run: 'grep linked program && grep compiled program > report', needs: link, outputs: [report], labels: name=three, timeout: 1m }
`;

test(
  'steps on three agents go on without the store, from before the first upload; their entries come when it is back',
  { timeout: 4 * PATIENCE_MS },
  async () => {
    await writeFiles(yard.work, { source: 'text\n', 'switchyard.yaml': CHAIN });
    cut();
    const build = await run();
    const ended = await endOf(yard.server, build);
    expect(ended.build).toMatchObject({ verdict: 'succeeded', stepsFromCache: 0 });
    expect(ended.build.degraded.join()).toContain('compile, link, check: the store did not answer; what was left is staged');
    expect(ended.steps.map((step) => step.result?.agent)).toEqual(['one', 'two', 'three']);
    expect(await entryCount()).toBe(0);
    const asked = s3.requests.length;
    expect(asked).toBeLessThan(500); // a store that is down is left alone
    const stats = await runSwitchyard(['cache', 'stats', ...yard.at], { cwd: yard.work });
    expect(stats.stdout).toMatch(/The store does not answer: .*\nOn the data plane's disk wait for the store: \d+ blobs/);

    heal();
    await until('the entries are there', async () => (await entryCount()) === 3);
    const after = (await yard.server.snapshot(build, never)).build.degraded.join();
    expect(after).toContain('what was left was staged, and has been published since');
    const again = await endOf(yard.server, await run());
    expect(again.build).toMatchObject({ verdict: 'succeeded', stepsFromCache: 3, degraded: [] });
    await until('nothing is staged any more', () => !existsSync(staging()) || blobsIn(staging()) === 0);
  },
);

function blobsIn(dir: string): number {
  return readdirSync(dir, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).length;
}

const GATED = (gate: string, runs: string) => `version: 1
name: gated
steps:
  make: { run: 'echo run >> "${runs}"; echo made > out', outputs: [out], labels: name=one, timeout: 1m }
  gate: { run: 'while [ ! -e "${gate}" ]; do sleep 0.05; done', cache: false, labels: name=two, timeout: 2m }
  use: { run: 'cat out', needs: [make, gate], labels: name=three, timeout: 1m }
`;

test('a step whose staged outputs are lost before they are used runs again', { timeout: 4 * PATIENCE_MS }, async () => {
  const [gate, runs] = [join(yard.dir, 'gate'), join(yard.dir, 'runs')];
  await writeFiles(yard.work, { 'switchyard.yaml': GATED(gate, runs) });
  cut();
  await using running = startSwitchyard(['run', ...yard.at, '-o', 'json'], { cwd: yard.work });
  const build = await submittedBy(running);
  await until('it has made them', async () => (await stepOf(yard.server, build, 'make')).phase === 'ended');
  for (const name of readdirSync(staging())) if (!name.startsWith('.')) rmSync(join(staging(), name), { recursive: true });
  writeFileSync(gate, '');
  const ended = await endOf(yard.server, build);
  expect(ended.build.verdict).toBe('succeeded');
  expect(readFileSync(runs, 'utf8')).toBe('run\nrun\n');
  expect(ended.build.degraded.join()).toContain('make: ran again');
});

test('a coordinator and data plane killed while the store is away go on with what was staged', { timeout: 4 * PATIENCE_MS }, async () => {
  await writeFiles(yard.work, { source: 'text\n', 'switchyard.yaml': CHAIN });
  cut();
  const build = await run();
  expect((await endOf(yard.server, build)).build.verdict).toBe('succeeded');
  await yard.killCoordinator();
  expect(blobsIn(staging())).toBeGreaterThan(0);
  expect(await entryCount().catch(() => 0)).toBe(0);
  heal();
  await until('the entries are there', async () => (await entryCount()) === 3);
  const again = await endOf(yard.server, await run());
  expect(again.build).toMatchObject({ verdict: 'succeeded', stepsFromCache: 3 });
});
