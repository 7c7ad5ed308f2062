import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startRealYard, writeFiles, type RealYard } from '../e2e/real-yard.ts';
import { until } from '../fixtures/until.ts';
import { openBazel, type Bazel } from './bazel.ts';

const never = new AbortController().signal;
const MANY = 20;
let yard: RealYard;
let endpoint: string;
let workspace: string;
let bazel: Bazel;

const BUILD = `
genrule(name = "hello", srcs = ["in.txt"], outs = ["out.txt"], cmd = "tr a-z A-Z < $(location in.txt) > $@")
[genrule(
    name = "many%d" % i,
    srcs = [":hello"],
    outs = ["many%d.txt" % i],
    cmd = "cat $(SRCS) > $@ && echo %d >> $@" % i,
) for i in range(${MANY})]
[genrule(
    name = "slow%d" % i,
    srcs = ["slow.txt"],
    outs = ["slow%d.txt" % i],
    cmd = "sleep 3; cat $(SRCS) > $@; echo %d >> $@" % i,
) for i in range(6)]
genrule(name = "bad", outs = ["bad.txt"], cmd = "echo oh dear >&2; exit 3")
filegroup(name = "all", srcs = ["many%d.txt" % i for i in range(${MANY})])
filegroup(name = "slow", srcs = ["slow%d.txt" % i for i in range(6)])
`;

beforeAll(async () => {
  yard = await startRealYard({ agents: ['one', 'two'] });
  endpoint = (await yard.server.server(never)).dataAddress;
  workspace = join(yard.dir, 'workspace');
  await writeFiles(workspace, { WORKSPACE: '', BUILD, 'in.txt': 'some words\n', 'slow.txt': 'slow\n' });
  bazel = await openBazel(workspace, join(yard.dir, 'machine-1'), endpoint);
});

afterAll(async () => {
  await bazel[Symbol.asyncDispose]();
  await yard[Symbol.asyncDispose]();
});

const outputOf = (name: string) => readFile(join(workspace, 'bazel-bin', name), 'utf8');

test('a cold build runs each action on the agents, and what it makes is here', async () => {
  const { code, counts, stderr } = await bazel.build(['//:all']);
  expect(stderr).toContain('Build completed successfully');
  expect({ code, counts }).toEqual({ code: 0, counts: { total: MANY + 1, remote: MANY + 1, hits: 0 } });
  expect(await outputOf('many3.txt')).toBe('SOME WORDS\n3\n');
});

test('a second machine has all of it from the cache', async () => {
  await using second = await openBazel(workspace, join(yard.dir, 'machine-2'), endpoint);
  const { code, counts } = await second.build(['//:all']);
  expect({ code, counts }).toEqual({ code: 0, counts: { total: MANY + 1, remote: 0, hits: MANY + 1 } });
});

test('a changed input runs again what depends on it, and nothing else', async () => {
  await writeFile(join(workspace, 'in.txt'), 'other words\n');
  await bazel.build(['//:slow0']);
  const { code, counts } = await bazel.build(['//:all', '//:slow0']);
  expect({ code, counts }).toEqual({ code: 0, counts: { total: MANY + 1, remote: MANY + 1, hits: 0 } });
  expect(await outputOf('out.txt')).toBe('OTHER WORDS\n');
});

test('an action that fails says why, and fails again the next time', async () => {
  for (let round = 0; round < 2; round += 1) {
    const { code, stdout, stderr } = await bazel.build(['//:bad']);
    expect(code).toBe(1);
    expect(stdout + stderr).toContain('oh dear');
    expect(stderr).toContain('The command ended with code 3');
  }
});

test('the death of coordinator and data plane in the middle of a build costs time and nothing else', async () => {
  await writeFile(join(workspace, 'slow.txt'), 'slower\n');
  const building = bazel.build(['//:slow'], ['--jobs=6', '--remote_retries=20']);
  await until('actions run', async () => (await yard.server.agents(never)).agents.some(({ running }) => running.length > 0), 60_000);
  await yard.killCoordinator();
  const { code, stderr } = await building;
  expect(stderr).toContain('Build completed successfully');
  expect(code).toBe(0);
  expect(await outputOf('slow5.txt')).toBe('slower\n5\n');
});

test('a cache that has lost everything is filled anew', async () => {
  const blobs = join(yard.dir, 'coordinator', 'blobs');
  await yard.killCoordinator(async () => {
    const key = await readFile(join(blobs, 'signing-key.pem'));
    await rm(blobs, { recursive: true });
    await mkdir(blobs, { mode: 0o700 });
    await writeFile(join(blobs, 'signing-key.pem'), key, { mode: 0o600 });
  });
  await using third = await openBazel(workspace, join(yard.dir, 'machine-3'), endpoint);
  const { code, counts, stderr } = await third.build(['//:all'], ['--remote_retries=20']);
  expect(stderr).toContain('Build completed successfully');
  expect({ code, counts }).toEqual({ code: 0, counts: { total: MANY + 1, remote: MANY + 1, hits: 0 } });
});
