import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { hashToken } from '../../base/auth.ts';
import { Secret } from '../../base/secret.ts';
import { digestOf } from '../../cache/digest.ts';
import type { DependencyCacheView, StepView } from '../../cli/build-view.ts';
import { connectBuildServer } from '../../cli/rpc/client.ts';
import { evictBlob } from '../fixtures/evict-blob.ts';
import { needs } from '../fixtures/host.ts';
import { freePorts } from '../fixtures/ports.ts';
import { runSwitchyard } from '../fixtures/run-process.ts';
import { tempDir, type TempDir } from '../fixtures/temp-dir.ts';
import { PATIENCE_MS, until } from '../fixtures/until.ts';
import { startRealYard, writeFiles, type RealYard } from './real-yard.ts';

const never = new AbortController().signal;

/** A package manager in six lines: what is in its store already is not fetched again. */
const INSTALL = `
  mkdir -p .store && fetched=0
  while read package; do
    [ -f ".store/$package" ] || { echo "$package" > ".store/$package"; fetched=$((fetched + 1)); }
  done < package-lock.json
  echo "fetched $fetched"`;

const PIPELINE = `version: 1
name: install
steps:
  install:
    run: ${JSON.stringify(INSTALL)}
    inputs: package-lock.json
    cache: false
    timeout: 1m
    dependencyCache: { name: store, paths: .store, key: "v1-\${{ hash('package-lock.json') }}", fallback: v1- }
`;

let dir: TempDir;
let yard: RealYard;
let metricsPort = 0;

beforeAll(async () => {
  dir = await tempDir();
  const entryOf = (name: string, scope: string, role = 'submitter') => ({
    ...{ name, sha256: hashToken(name), kind: 'caller', role },
    ...{ project: 'shop', scope, zoneCeiling: 'trusted' },
  });
  const tokensFile = join(dir.path, 'tokens.json');
  writeFileSync(tokensFile, JSON.stringify([entryOf('main', 'main'), entryOf('pr', 'main/pr-7'), entryOf('admin', 'main', 'admin')]), {
    mode: 0o600,
  });
  [metricsPort = 0] = await freePorts(1);
  const agentArgs = ['--metrics-listen', `127.0.0.1:${metricsPort}`];
  yard = await startRealYard({ agents: ['one'], coordinatorArgs: ['--tokens-file', tokensFile], agentArgs });
}, PATIENCE_MS * 2);

afterAll(async () => {
  await yard[Symbol.asyncDispose]();
  await dir[Symbol.asyncDispose]();
});

type Installed = { readonly step: StepView; readonly cache: DependencyCacheView; readonly fetched: number; readonly build: string };

/** Submits the pipeline with these packages locked, as one of the callers, and waits until the entry is written or was not to be. */
async function install(caller: 'main' | 'pr', packages: readonly string[], pipeline = PIPELINE): Promise<Installed> {
  await writeFiles(yard.work, { 'package-lock.json': packages.map((name) => `${name}\n`).join(''), 'switchyard.yaml': pipeline });
  const env = { SWITCHYARD_TOKEN: caller };
  const run = await runSwitchyard(['run', ...yard.at, '-o', 'json'], { cwd: yard.work, env });
  expect(run, run.stderr).toMatchObject({ code: 0 });
  const build = /"kind":"submitted","build":"(b-[0-9a-z]+)"/.exec(run.stdout)?.[1] ?? '';
  using server = connectBuildServer({ address: yard.address, token: new Secret(caller) });
  const step = await until('the entry is written', async () => {
    const [found] = (await server.snapshot(build, never)).steps;
    return found?.dependencyCaches?.every(({ save }) => save !== 'pending') === true && found;
  });
  const log = await runSwitchyard(['logs', build, 'install', ...yard.at], { cwd: yard.work, env });
  const [cache] = step.dependencyCaches ?? [];
  if (cache === undefined) throw new Error(`No dependency cache:\n${run.stdout}`);
  return { step, cache, build, fetched: Number(/fetched (\d+)/.exec(log.stdout)?.[1]) };
}

async function explain(caller: 'main' | 'pr', build: string): Promise<string> {
  return (await runSwitchyard(['explain', build, 'install', ...yard.at], { cwd: yard.work, env: { SWITCHYARD_TOKEN: caller } })).stdout;
}

test('a first run keeps, an equal one finds, a changed lockfile begins with what there was', { timeout: 3 * PATIENCE_MS }, async () => {
  const first = await install('main', ['a', 'b', 'c']);
  expect(first).toMatchObject({ fetched: 3, cache: { found: 'nothing', save: 'kept', warnings: [] } });
  expect(first.cache.why.join()).toContain('nothing is kept under the name "store" yet');

  const second = await install('main', ['a', 'b', 'c']);
  expect(second).toMatchObject({ fetched: 0, cache: { found: 'exact', foundScope: 'main', save: undefined, why: [], warnings: [] } });
  expect(second.step.result?.usage.bytesOut).toBe(0);

  const third = await install('main', ['a', 'b', 'c', 'd']);
  expect(third).toMatchObject({ fetched: 1, cache: { found: 'fallback', foundKey: first.cache.key, save: 'kept' } });
  expect(third.cache.why).toEqual(['package-lock.json has changed']);
  expect(await explain('main', third.build)).toContain('store: package-lock.json has changed');
  expect(await install('main', ['a', 'b', 'c', 'd'])).toMatchObject({ fetched: 0, cache: { found: 'exact', save: undefined } });
});

/** How often the agent has brought a tree to its place in each way. */
async function restores(): Promise<Readonly<Record<string, number>>> {
  const text = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text();
  const found = text.matchAll(/^switchyard_agent_restores_total\{rung="([a-z]+)"\} (\d+)$/gm);
  return Object.fromEntries([...found].map(([, rung, count]) => [rung, Number(count)]));
}

test.runIf(needs('bubblewrap'))(
  'what the agent has is there again without a file being written',
  { timeout: 3 * PATIENCE_MS },
  async () => {
    const packages = Array.from({ length: 500 }, (_, index) => `package-${index}`);
    const alone = PIPELINE.replace('name: store', 'name: alone').replace(', fallback: v1-', '');
    expect(await install('main', packages, alone)).toMatchObject({ cache: { found: 'nothing', save: 'kept' } });
    const before = await restores();
    const again = await install('main', packages, alone);
    expect(again).toMatchObject({ fetched: 0, cache: { found: 'exact', restores: [{ path: '.store', rung: 'overlay', bytesIn: 0 }] } });
    expect(await explain('main', again.build)).toContain('alone: ".store" came to its place by overlay: nothing fetched');
    const { overlay = 0, present = 0, ...written } = await restores();
    expect(overlay + present).toBe((before['overlay'] ?? 0) + (before['present'] ?? 0) + 1);
    for (const [rung, count] of Object.entries(written)) expect([rung, count]).toEqual([rung, before[rung]]);
  },
);

test('what was purged is not taken from what the agent still has', { timeout: 3 * PATIENCE_MS }, async () => {
  const alone = PIPELINE.replace('name: store', 'name: purged').replace(', fallback: v1-', '');
  const first = await install('main', ['a', 'b', 'c'], alone);
  expect(first).toMatchObject({ fetched: 3, cache: { found: 'nothing', save: 'kept' } });
  expect(await install('main', ['a', 'b', 'c'], alone)).toMatchObject({ fetched: 0, cache: { found: 'exact' } });
  const criteria = ['--build', first.build, '--yes'];
  const purge = await runSwitchyard(['cache', 'purge', ...criteria, ...yard.at], { cwd: yard.work, env: { SWITCHYARD_TOKEN: 'admin' } });
  expect(purge, purge.stderr).toMatchObject({ code: 0 });
  // The tree of the same digest lies in the tier all the while.
  const after = await install('main', ['a', 'b', 'c'], alone);
  expect(after).toMatchObject({ fetched: 3, cache: { found: 'nothing', save: 'kept' } });
  expect(await install('main', ['a', 'b', 'c'], alone)).toMatchObject({ fetched: 0, cache: { found: 'exact' } });
});

test('times and permissions are kept where the pipeline says so, and only a part is taken up', { timeout: 3 * PATIENCE_MS }, async () => {
  const step = (run: string, cache: string) => `version: 1
steps:
  install:
    run: ${JSON.stringify(run)}
    inputs: package-lock.json
    cache: false
    dependencyCache: { name: built, paths: built, key: "\${{ hash('package-lock.json') }}", ${cache} }
`;
  const make = 'mkdir -p built/bin built/lib && echo x > built/bin/tool && echo y > built/lib/x.c && echo z > built/lib/x.h';
  const dated = `${make} && chmod 700 built/bin/tool && chmod 600 built/lib/x.h && touch -d @1600000000 built/lib/x.h`;
  const look = 'find built -type f -printf "found %p %m %Ts\\n" | sort; echo fetched 0';
  const lookedAt = async (pipeline: string) => {
    const { cache, build } = await install('main', ['dated'], pipeline);
    const { stdout } = await runSwitchyard(['logs', build, 'install', ...yard.at], { cwd: yard.work, env: { SWITCHYARD_TOKEN: 'main' } });
    return { cache, found: [...stdout.matchAll(/found built\/(.*)/g)].map(([, line]) => line) };
  };
  expect((await install('main', ['dated'], step(dated, 'modes: full, mtimes: preserve'))).cache).toMatchObject({ save: 'kept' });
  const kept = await lookedAt(step(look, 'modes: full, mtimes: preserve, policy: pull'));
  expect(kept.found).toEqual([
    expect.stringMatching(/^bin\/tool 700 \d+$/),
    expect.stringMatching(/^lib\/x\.c 644 \d+$/),
    'lib/x.h 600 1600000000',
  ]);
  // What is kept beside contents is part of what an entry is: without it there is none yet.
  expect((await install('main', ['dated'], step(dated, 'policy: both'))).cache).toMatchObject({ found: 'nothing', save: 'kept' });
  const part = await lookedAt(step(look, 'policy: pull, only: [bin, "**/*.h"]'));
  expect(part).toMatchObject({ cache: { found: 'exact' }, found: ['bin/tool 755 1000000000', 'lib/x.h 644 1000000000'] });
});

test('a pull request reads what main has kept and writes its own, which main never sees', { timeout: 3 * PATIENCE_MS }, async () => {
  await install('main', ['p', 'q']);
  expect(await install('pr', ['p', 'q'])).toMatchObject({ fetched: 0, cache: { found: 'exact', foundScope: 'main' } });
  const own = await install('pr', ['p', 'q', 'evil']);
  expect(own).toMatchObject({ fetched: 1, cache: { found: 'fallback', foundScope: 'main', save: 'kept' } });
  expect(await install('pr', ['p', 'q', 'evil'])).toMatchObject({ fetched: 0, cache: { found: 'exact', foundScope: 'main/pr-7' } });
  const mains = await install('main', ['p', 'q', 'evil']);
  expect(mains).toMatchObject({ fetched: 1, cache: { found: 'fallback', foundScope: 'main', save: 'kept' } });
  expect(JSON.stringify(mains.cache) + (await explain('main', mains.build))).not.toContain('pr-7');
});

test('of two savers with one key the first wins; other content is told as non-determinism', { timeout: 3 * PATIENCE_MS }, async () => {
  const pushing = (run: string) => `version: 1
steps:
  install:
    run: ${JSON.stringify(run)}
    inputs: package-lock.json
    cache: false
    dependencyCache: { name: push, paths: out, key: k, policy: push }
`;
  const same = pushing('mkdir out && echo same > out/x');
  expect((await install('main', ['z'], same)).cache).toMatchObject({ found: undefined, save: 'kept' });
  expect((await install('main', ['z'], same)).cache).toMatchObject({ save: 'same', warnings: [] });
  const other = await install('main', ['z'], pushing('mkdir out && echo other > out/x'));
  expect(other.cache).toMatchObject({ save: 'differs', warnings: [expect.stringContaining('non-determinism')] });
  const show = await runSwitchyard(['show', other.build, 'install', ...yard.at], { cwd: yard.work, env: { SWITCHYARD_TOKEN: 'main' } });
  expect(show.stdout).toContain('not kept: another run kept other content under the same key');
});

test('an entry of which a blob was lost is a miss that says so, and the next run heals it', { timeout: 3 * PATIENCE_MS }, async () => {
  await install('main', ['lost-1', 'lost-2']);
  const lost = digestOf(Buffer.from('lost-2\n'));
  expect(await evictBlob(join(yard.dir, 'coordinator/blobs/cas'), lost)).toBeGreaterThan(0);
  const after = await install('main', ['lost-1', 'lost-2']);
  expect(after.cache.found).not.toBe('exact');
  expect(after.cache.why.join('\n')).toContain('blobs that it names');
  expect(after.cache).toMatchObject({ save: 'kept', warnings: [] });
  expect(await install('main', ['lost-1', 'lost-2'])).toMatchObject({ fetched: 0, cache: { found: 'exact' } });
});
