import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startRealYard, writeFiles, type RealYard } from '../e2e/real-yard.ts';
import { needs } from '../fixtures/host.ts';
import { until } from '../fixtures/until.ts';
import { installBazel, openBazel, type Bazel, type Version } from './bazel.ts';

const never = new AbortController().signal;
const MANY = 20;
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

/** Of a whole release of Bazel, the first time. */
const INSTALL_MS = 1_200_000;

const VERSIONS: readonly { readonly version: Version; readonly can: boolean }[] = [
  { version: '2', can: needs('npm') },
  { version: '7', can: needs('bubblewrap') },
];

describe.for(VERSIONS.filter(({ can }) => can))('Bazel $version', ({ version }) => {
  let yard: RealYard;
  let endpoint: string;
  let workspace: string;
  let bazel: Bazel;

  const machine = (name: string) => openBazel(version, workspace, join(yard.dir, name), endpoint);

  beforeAll(async () => {
    await installBazel(version);
    yard = await startRealYard({ agents: ['one', 'two'] });
    endpoint = (await yard.server.server(never)).dataAddress;
    workspace = join(yard.dir, 'workspace');
    await writeFiles(workspace, { WORKSPACE: '', 'MODULE.bazel': '', BUILD, 'in.txt': 'some words\n', 'slow.txt': 'slow\n' });
    bazel = await machine('machine-1');
  }, INSTALL_MS);

  afterAll(async () => {
    await bazel[Symbol.asyncDispose]();
    await yard[Symbol.asyncDispose]();
  });

  /** The store loses all that it has; the yard starts again with what it knows. */
  const loseBlobs = async () => {
    const blobs = join(yard.dir, 'coordinator', 'blobs');
    await yard.killCoordinator(async () => {
      const key = await readFile(join(blobs, 'signing-key.pem'));
      await rm(blobs, { recursive: true });
      await mkdir(blobs, { mode: 0o700 });
      await writeFile(join(blobs, 'signing-key.pem'), key, { mode: 0o600 });
    });
  };

  const outputOf = (name: string) => readFile(join(workspace, 'bazel-bin', name), 'utf8');

  test('a cold build runs each action on the agents, and what it makes is here', async () => {
    const { code, counts, stderr } = await bazel.build(['//:all']);
    expect(stderr).toContain('Build completed successfully');
    expect({ code, counts }).toEqual({ code: 0, counts: { total: MANY + 1, remote: MANY + 1, hits: 0 } });
    expect(await outputOf('many3.txt')).toBe('SOME WORDS\n3\n');
  });

  test('a second machine has all of it from the cache', async () => {
    await using second = await machine('machine-2');
    const { code, counts } = await second.build(['//:all']);
    expect({ code, counts }).toEqual({ code: 0, counts: { total: MANY + 1, remote: 0, hits: MANY + 1 } });
  });

  test('a changed input runs again what depends on it, and nothing else', async () => {
    await writeFile(join(workspace, 'in.txt'), 'other words\n');
    await bazel.build(['//:slow0']);
    const { code, counts } = await bazel.build(['//:all', '//:slow0']);
    expect({ code, counts }).toEqual({ code: 0, counts: { total: MANY + 1, remote: MANY + 1, hits: 0 } });
    expect(await outputOf('many3.txt')).toBe('OTHER WORDS\n3\n');
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
    await loseBlobs();
    await using third = await machine('machine-3');
    const { code, counts, stderr } = await third.build(['//:all'], ['--remote_retries=20']);
    expect(stderr).toContain('Build completed successfully');
    expect({ code, counts }).toEqual({ code: 0, counts: { total: MANY + 1, remote: MANY + 1, hits: 0 } });
  });

  test.runIf(version === '7')('what was never fetched here, and is lost there, is made anew', async () => {
    await using fourth = await machine('machine-4');
    const flags = ['--remote_download_outputs=minimal', '--remote_retries=20', '--experimental_remote_cache_eviction_retries=5'];
    expect((await fourth.build(['//:many0'], flags)).code).toBe(0);
    await loseBlobs();
    const { code, stderr } = await fourth.build(['//:many1'], flags);
    expect(stderr).toContain('Build completed successfully');
    expect(code).toBe(0);
  });
});
