import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { hashToken } from '../../base/auth.ts';
import { runSwitchyard } from '../fixtures/run-process.ts';
import { tempDir, type TempDir } from '../fixtures/temp-dir.ts';
import { PATIENCE_MS, until } from '../fixtures/until.ts';
import { startRealYard, writeFiles } from './real-yard.ts';

const PIPELINE = `version: 1
name: shop
defaults: { timeout: 1m }
steps:
  make:
    run: 'mkdir out && cp src/a.txt out/a.txt && ln -s a.txt out/link && echo run > out/tool && chmod +x out/tool && echo log > made.txt'
    inputs: [src]
    outputs: [out, made.txt]
  install:
    run: 'mkdir -p mods/deep && cp src/a.txt mods/deep/x'
    inputs: [src]
    dependencyCache: { paths: [mods], key: "npm-\${{ hash('src/a.txt') }}" }
`;

/** A yard of files in which one build has run, with a submitter and a viewer of its project. */
async function startShop() {
  await using stack = new AsyncDisposableStack();
  const dir: TempDir = stack.use(await tempDir());
  const tokensFile = join(dir.path, 'tokens.json');
  const people = (['submitter', 'viewer'] as const).map((role) => {
    return { name: role, sha256: hashToken(role), kind: 'caller', role, project: 'shop', scope: 'main', zoneCeiling: 'trusted' };
  });
  writeFileSync(tokensFile, JSON.stringify(people), { mode: 0o600 });
  const yard = stack.use(await startRealYard({ agents: ['one'], coordinatorArgs: ['--tokens-file', tokensFile] }));
  const as = (who: string, ...args: readonly string[]) =>
    runSwitchyard([...args, ...yard.at], { cwd: yard.work, env: { SWITCHYARD_TOKEN: who } });
  const cache = (...args: readonly string[]) => as('submitter', 'cache', ...args);
  const json = async (...args: readonly string[]) => {
    const { code, stdout, stderr } = await cache(...args, '-o', 'json');
    expect(code, stderr).toBe(0);
    return JSON.parse(stdout);
  };
  await writeFiles(yard.work, { 'switchyard.yaml': PIPELINE, 'src/a.txt': 'content\n' });
  const ran = await as('submitter', 'run', '-o', 'json');
  expect(ran.code, ran.stderr).toBe(0);
  await until('what it made is kept', async () => (await json('ls')).total === 3);
  const { entries } = await json('ls', '--kind', 'action');
  const action = entries.find(({ step }: { step: string }) => step === 'make').key as string;
  const parts = stack.move();
  return { work: yard.work, as, cache, json, action, [Symbol.asyncDispose]: () => parts.disposeAsync() };
}

const namesIn = (file: string) => execFileSync('tar', ['-tf', file], { encoding: 'utf8' }).trim().split('\n');

describe('archives of the cache', { timeout: 2 * PATIENCE_MS }, () => {
  let shop: Awaited<ReturnType<typeof startShop>>;
  const at = (name: string) => join(shop.work, name);

  beforeAll(async () => {
    shop = await startShop();
  }, 3 * PATIENCE_MS);
  afterAll(() => shop[Symbol.asyncDispose]());

  test('of a result hold its outputs at their paths, and are the same bytes each time', async () => {
    const first = await shop.json('export', shop.action, '-f', 'one.tar');
    await shop.json('export', shop.action, '-f', 'two.tar');
    expect(namesIn(at('one.tar'))).toEqual(['made.txt', 'out/', 'out/a.txt', 'out/link', 'out/tool']);
    expect(readFileSync(at('one.tar')).equals(readFileSync(at('two.tar')))).toBe(true);
    expect(first).toMatchObject({
      kind: 'action',
      scope: 'main',
      key: shop.action,
      compression: 'none',
      bytes: statSync(at('one.tar')).size,
    });
    mkdirSync(at('unpacked'));
    execFileSync('tar', ['-xf', at('one.tar'), '-C', at('unpacked')]);
    expect(readFileSync(at('unpacked/out/link'), 'utf8')).toBe('content\n');
    expect(statSync(at('unpacked/out/tool')).mode & 0o111).not.toBe(0);
  });

  test('are compressed as their name ends, of a dependency cache by the key that the pipeline has', async () => {
    const { entries } = await shop.json('ls', '--kind', 'dependency');
    const key = String(entries[0].key).split('/').slice(2).join('/');
    await shop.json('export', key, '-f', 'mods.tar.zst');
    await shop.json('export', key, '-f', 'mods.tgz');
    expect(readFileSync(at('mods.tar.zst')).readUInt32LE(0)).toBe(0xfd2fb528);
    expect(namesIn(at('mods.tgz'))).toEqual(['mods/', 'mods/deep/', 'mods/deep/x']);
  });

  test('come back as the same tree, under a name that export, ls and warm know', async () => {
    const { root } = await shop.json('export', shop.action, '-f', 'again.tar.gz');
    const imported = await shop.json('import', 'again.tar.gz', '--key', 'release-1');
    expect(imported).toMatchObject({ root, scope: 'main', key: 'release-1', outcome: 'kept', fileCount: 3 });
    expect((await shop.json('import', 'again.tar.gz', '--key', 'release-1')).outcome).toBe('same');
    expect((await shop.json('ls', '--kind', 'layer')).entries).toMatchObject([
      { key: 'release-1', caller: 'submitter', executed: false, build: '' },
    ]);
    await shop.json('export', 'release-1', '-f', 'named.tar');
    await shop.json('export', root, '-f', 'root.tar');
    expect(readFileSync(at('named.tar')).equals(readFileSync(at('root.tar')))).toBe(true);
    expect((await shop.cache('warm', '--key', 'release-1', '--kind', 'layer')).code).toBe(0);
    writeFileSync(at('other.txt'), 'other');
    execFileSync('tar', ['-cf', at('other.tar'), '-C', shop.work, 'other.txt']);
    const differs = await shop.cache('import', 'other.tar', '--key', 'release-1');
    expect(differs.code).toBe(1);
    expect(differs.stdout).toContain('layer release-1 is another tree already, and stays');
  });

  test('as layers of an image hold the difference, and make the tree again', async () => {
    const base = await shop.json('import', 'other.tar');
    mkdirSync(at('next'), { recursive: true });
    writeFileSync(at('next/new.txt'), 'new');
    execFileSync('tar', ['-cf', at('next.tar'), '-C', at('next'), 'new.txt']);
    const next = await shop.json('import', 'next.tar');
    await shop.json('export', base.root, '-f', 'base.tar', '--layer');
    const layer = await shop.json('export', next.root, '-f', 'layer.tar.gz', '--layer', '--base', base.root);
    expect(namesIn(at('layer.tar.gz'))).toEqual(['new.txt', '.wh.other.txt']);
    expect(layer.digest).toBe(`sha256:${execFileSync('sha256sum', [at('layer.tar.gz')], { encoding: 'utf8' }).slice(0, 64)}`);
    expect(layer.diffId).not.toBe(layer.digest);
    expect((await shop.json('import', '--layers', 'base.tar', 'layer.tar.gz')).root).toBe(next.root);
    expect((await shop.cache('export', next.root, '-f', 'x.tar', '--base', base.root)).stderr).toContain('--base goes with --layer');
  });

  test('go through pipes', async () => {
    const { root } = await shop.json('export', shop.action, '-f', 'piped.tar');
    const { code, stdout } = await shop.cache('export', shop.action, '-f', '-', '--compression', 'none');
    expect(code).toBe(0);
    expect(stdout.length).toBeGreaterThan(1_000);
    expect((await shop.cache('export', shop.action, '-f', '-', '-o', 'json')).code).toBe(2);
    expect((await shop.json('import', 'piped.tar')).root).toBe(root);
  });

  test('that are none, or lead out of their tree, are refused with the reason, and leave nothing behind', async () => {
    writeFileSync(at('text.tar'), 'no archive');
    expect(await shop.cache('import', 'text.tar')).toMatchObject({ code: 1, stderr: expect.stringContaining('cut off, or is no tar') });
    symlinkSync('/etc', at('lead'));
    execFileSync('tar', ['-cPf', at('absolute.tar'), '/etc/hostname']);
    expect(await shop.cache('import', 'absolute.tar')).toMatchObject({ code: 1, stderr: expect.stringContaining('is absolute') });
    expect(await shop.cache('import', 'nowhere.tar')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('There is no file nowhere.tar'),
    });
    expect(await shop.cache('import', 'src')).toMatchObject({ code: 2, stderr: expect.stringContaining('src is a directory') });
    expect(await shop.cache('import', 'one.tar', 'two.tar')).toMatchObject({ code: 2, stderr: expect.stringContaining('--layers') });
    expect(await shop.cache('export', shop.action, '-f', 'a.zip')).toMatchObject({ code: 2, stderr: expect.stringContaining('.tar.zst') });
    expect(await shop.cache('export', 'nobody', '-f', 'a.tar')).toMatchObject({ code: 2, stderr: expect.stringContaining('There is no') });
    const unknown = `${'ab'.repeat(32)}-120`;
    expect(await shop.cache('export', unknown, '-f', 'a.tar')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('not in the store'),
    });
    expect(await shop.cache('export', shop.action, '-f', 'no/such/dir.tar')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('dir.tar'),
    });
    expect(await shop.as('viewer', 'cache', 'import', 'one.tar')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('needs the role submitter'),
    });
    expect(existsSync(at('a.tar'))).toBe(false);
    expect(readdirSync(shop.work).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });
});
