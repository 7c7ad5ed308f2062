import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { hashToken } from '../../base/auth.ts';
import { startFakeS3 } from '../fixtures/fake-s3.ts';
import { freePorts } from '../fixtures/ports.ts';
import { runSwitchyard } from '../fixtures/run-process.ts';
import { tempDir, type TempDir } from '../fixtures/temp-dir.ts';
import { PATIENCE_MS, until } from '../fixtures/until.ts';
import { startRealYard, writeFiles, type RealYard } from './real-yard.ts';

const PIPELINE = `version: 1
name: shop
defaults: { timeout: 1m }
steps:
  make: { run: 'cat src/a.txt > made.txt', inputs: [src], outputs: [made.txt] }
  pack: { run: 'cat made.txt > packed.txt', needs: make, outputs: [packed.txt] }
  install:
    run: 'mkdir -p mods && cp src/a.txt mods/x'
    inputs: [src]
    dependencyCache: { paths: [mods], key: "npm-\${{ hash('src/a.txt') }}", fallback: [npm-] }
`;

/** A yard with an admin and a viewer of the project shop, in which one build has run. */
async function startShop(options: { readonly args?: readonly string[]; readonly env?: Readonly<Record<string, string>> } = {}) {
  await using stack = new AsyncDisposableStack();
  const dir: TempDir = stack.use(await tempDir());
  const tokensFile = join(dir.path, 'tokens.json');
  const people = (['admin', 'viewer'] as const).map((role) => {
    return { name: role, sha256: hashToken(role), kind: 'caller', role, project: 'shop', scope: 'main', zoneCeiling: 'trusted' };
  });
  writeFileSync(tokensFile, JSON.stringify(people), { mode: 0o600 });
  const coordinatorArgs = ['--tokens-file', tokensFile, ...(options.args ?? [])];
  const yard: RealYard = stack.use(
    await startRealYard({ agents: ['one'], coordinatorArgs, ...(options.env === undefined ? {} : { env: options.env }) }),
  );
  const as = async (who: string, ...args: readonly string[]) =>
    runSwitchyard([...args, ...yard.at], { cwd: yard.work, env: { SWITCHYARD_TOKEN: who } });
  const cache = async (...args: readonly string[]) => as('admin', 'cache', ...args);
  /** The JSON of a command that must do well. */
  const json = async (...args: readonly string[]) => {
    const { code, stdout, stderr } = await cache(...args, '-o', 'json');
    expect(code, stderr).toBe(0);
    return JSON.parse(stdout);
  };
  const build = async (content: string): Promise<string> => {
    await writeFiles(yard.work, { 'switchyard.yaml': PIPELINE, 'src/a.txt': content });
    const ran = await as('admin', 'run', '-o', 'json');
    expect(ran.code, ran.stderr).toBe(0);
    const id = /"kind":"submitted","build":"(b-[0-9a-z]+)"/.exec(ran.stdout)?.[1] ?? '';
    const { entries: kept } = await until('what it made is kept', async () => {
      const found = await json('ls', '--by', id);
      return found.total === 4 && found;
    });
    expect(kept.map(({ kind, step }: { kind: string; step: string }) => `${kind} ${step}`).toSorted()).toEqual([
      'action install',
      'action make',
      'action pack',
      'dependency install',
    ]);
    return id;
  };
  const parts = stack.move();
  return { yard, as, cache, json, build, [Symbol.asyncDispose]: () => parts.disposeAsync() };
}

type Shop = Awaited<ReturnType<typeof startShop>>;

describe('the commands of the cache, on files', { timeout: 2 * PATIENCE_MS }, () => {
  let shop: Shop;
  let [first, second] = ['', ''];

  beforeAll(async () => {
    shop = await startShop();
    first = await shop.build('one\n');
    second = await shop.build('two\n');
  }, 3 * PATIENCE_MS);
  afterAll(() => shop[Symbol.asyncDispose]());

  test('stats says what each scope has', async () => {
    expect((await shop.json('stats')).scopes).toMatchObject([{ scope: 'main', entryCount: 8 }]);
    expect((await shop.cache('stats')).stdout).toMatch(/^SCOPE +ENTRIES +BLOBS +WENT FOR ROOM\nmain +8 /);
  });

  test('ls lists the newest first, and what was asked for only', async () => {
    const { entries, total } = await shop.json('ls', '--limit', '3');
    expect(total).toBe(8);
    expect(entries).toHaveLength(3);
    expect(entries.every((entry: { build: string }) => entry.build === second)).toBe(true);
    expect((await shop.cache('ls', '--scope', 'release')).stdout).toBe('No entries.\n'); // admins see all scopes
    expect((await shop.as('viewer', 'cache', 'ls', '--scope', 'main/pr-7')).stdout).toBe('No entries.\n');
    expect(await shop.as('viewer', 'cache', 'ls', '--scope', 'release')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('your credential reads'),
    });
    const shown = await shop.cache('ls', '--kind', 'dependency', '--by', first);
    expect(shown.stdout.split('\n')[1]).toMatch(new RegExp(`^dependency  main +\\S+ ago +${first}/install +one +mods/[0-9a-f]{12}/npm-`));
  });

  test('explain says which input made a step miss, and what its dependency cache began with', async () => {
    const { stdout } = await shop.cache('explain', second, 'install');
    expect(stdout).toContain(`install of ${second}: ran on one: no result in the cache would do`);
    expect(stdout).toContain(`What is other than in ${first}, where it succeeded last`);
    expect(stdout).toContain('  the input src/a.txt has changed\n');
    expect(stdout).toMatch(/the key of the dependency cache mods was npm-\S+ and is npm-/);
    expect(stdout).toMatch(/mods: began with npm-\S+ of main, since there was no npm-/);
    expect(stdout).toContain(`by ${second}/install`);
    const through = await shop.json('explain', second, 'pack');
    expect(through.compared).toMatchObject({ build: first, changes: ['the input made.txt has changed'] });
    expect(through.kept).toMatchObject({ build: second, step: 'pack' });
  });

  test('explain --key finds an entry by the key of the pipeline, and the nearest where there is none', async () => {
    const { entries } = await shop.json('ls', '--kind', 'dependency', '--by', first);
    const written = entries[0].key.split('/').slice(2).join('/');
    expect(await shop.json('explain', '--key', written)).toMatchObject({ complete: true, found: [{ build: first, kind: 'dependency' }] });
    const { kept } = await shop.json('explain', first, 'make');
    expect(await shop.json('explain', '--key', kept.key)).toMatchObject({ kind: 'action', complete: true, found: [{ step: 'make' }] });
    const asked = await shop.cache('explain', '--key', 'npm-none', '-o', 'json');
    expect(asked.code).toBe(1);
    const none = JSON.parse(asked.stdout);
    expect(none).toMatchObject({ complete: false, found: [] });
    expect(none.near).toHaveLength(2);
  });

  test('warm reads what a build, a step or a key stands for', async () => {
    expect(await shop.json('warm', second)).toMatchObject({ entryCount: 4, broken: [] });
    expect((await shop.cache('warm', second, 'make')).stdout).toMatch(/Read by the data plane at \S+: 1 entry with 1 blob, 4 B\n$/);
    expect(await shop.cache('warm', '--key', 'npm-none')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('no dependency entry'),
    });
    expect((await shop.cache('warm', second, 'mak')).stderr).toContain('Did you mean "make"?');
  });

  test('verify names the entry of which a blob is damaged, then missing, and ends with 1', async () => {
    expect((await shop.cache('verify', '--all')).stdout).toMatch(/^8 of 8 entries read: \d+ blobs, .*; all are whole\n$/);
    expect(await shop.json('verify', '--sample', '3')).toMatchObject({ total: 8, entryCount: 3, broken: [] });
    const file = fileWith(shop.yard.dir, 'one\n');
    const bytes = readFileSync(file);
    writeFileSync(
      file,
      bytes.map((byte) => byte ^ 1),
    );
    const damaged = await shop.cache('verify', '--all');
    expect(damaged.code).toBe(1);
    expect(damaged.stdout).toMatch(/^action [0-9a-f]{64}-\d+ of main: of 1 blob, 0 missing, 1 damaged$/m);
    expect(damaged.stdout).toContain(basename(file));
    const missing = await shop.cache('verify', '--all', '-o', 'json');
    expect(missing.code).toBe(1);
    const { broken } = JSON.parse(missing.stdout);
    expect(broken.length).toBeGreaterThan(1);
    expect(
      broken.every((one: { build: string; missing: readonly string[] }) => one.build === first && one.missing.includes(basename(file))),
    ).toBe(true);
  });

  test('purge only says what would go until it is told to, and is for admins', async () => {
    const refused = await shop.as('viewer', 'cache', 'purge', '--agent', 'one');
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining('needs the role admin') });
    expect((await shop.as('viewer', 'cache', 'stats')).code).toBe(0);
    expect(await shop.json('purge', '--build', second)).toMatchObject({ dryRun: true, purgedCount: 4 });
    expect(await shop.json('purge', '--build', 'latest')).toMatchObject({ dryRun: true, purgedCount: 4 });
    expect((await shop.json('ls', '--by', second.slice(0, 20))).total).toBe(4);
    expect((await shop.cache('purge', '--key', 'npm-')).stderr).toContain('wants the whole key');
    const dry = await shop.cache('purge', '--build', second, '--dry-run');
    expect(dry.stdout).toMatch(/4 entries of 8 would go\nNothing was taken away: add --yes to do it\.\n$/);
    expect((await shop.json('ls')).total).toBe(8);
    expect((await shop.cache('purge', '--build', second, '--since', '1h', '--yes')).stdout).toContain('4 entries of 8 went\n');
    expect((await shop.json('ls')).total).toBe(4);
    const after = await shop.json('explain', second, 'make');
    expect(after.kept).toBeUndefined();
    expect(after.causes.join()).toContain('the entry was purged');
  });

  test('what makes no sense is refused before a server is asked', async () => {
    const refusals = [
      [['purge'], 'Say what is to go'],
      [['purge', '--build', 'b', '--yes', '--dry-run'], 'exclude each other'],
      [['gc'], 'Add --dry-run'],
      [['explain', 'latest'], 'Write BUILD STEP'],
      [['warm'], 'Write BUILD [STEP]'],
      [['verify', '--kind', 'x'], 'Allowed choices are action, dependency, layer'],
    ] as const;
    for (const [args, text] of refusals)
      expect(await shop.cache(...args)).toMatchObject({ code: 2, stderr: expect.stringContaining(text) });
    expect((await shop.cache('purge', '--since', 'yesterday')).stderr).toContain('--since is "yesterday"');
    expect((await shop.cache('purge', '--since', '1h', '--until', '2h')).stderr).toContain('--until is before --since');
    expect(await shop.cache('purge', '--build', 'b-zzzzzzzz')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('No build begins'),
    });
    expect((await shop.cache('gc', '--dry-run')).stdout).toContain('Blobs lie in files here');
  });
});

test(
  'over a bucket, gc says what stays and what would go, and warm brings back what the local tier has lost',
  { timeout: 4 * PATIENCE_MS },
  async () => {
    await using s3 = await startFakeS3();
    const [port = 0] = await freePorts(1);
    const store = ['--store', 's3', '--s3-endpoint', s3.endpoint, '--s3-bucket', s3.bucket];
    await using shop = await startShop({
      args: [...store, '--s3-access-key-id', s3.traits.keys.accessKeyId, '--data-metrics-listen', `127.0.0.1:${port}`],
      env: { SWITCHYARD_CACHE_S3_SECRET_ACCESS_KEY: s3.traits.keys.secretAccessKey },
    });
    const build = await shop.build('one\n');
    const numbers = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
    expect(numbers).toMatch(/^switchyard_packs_stored_total [1-9]/m);
    expect(numbers).toMatch(/^switchyard_entry_puts_total\{kind="action",outcome="kept"\} 3$/m);
    const plan = await shop.json('gc', '--dry-run');
    expect(plan).toMatchObject({ hasPacks: true, entryCount: 0, orphanCount: 0 });
    expect(plan.kept.referenced).toBeGreaterThan(0);
    expect(await shop.as('viewer', 'cache', 'gc', '--dry-run')).toMatchObject({ code: 1, stderr: expect.stringContaining('role admin') });

    const purge = await shop.cache('purge', '--build', 'latest');
    expect(purge.stdout).toMatch(
      /4 entries of 4 would go; [0-9]+ packs? goe?s? once nothing needs (it|them) and nobody has asked for a day\n/,
    );

    const near = () =>
      allFiles(join(shop.yard.dir, 'coordinator')).filter((path) => path.includes('/cas/') && readFileSync(path, 'utf8') === 'one\n');
    await shop.yard.killCoordinator(async () => {
      for (const path of allFiles(join(shop.yard.dir, 'coordinator')).filter((one) => one.includes('/cas/'))) rmSync(path);
    });
    expect(near()).toEqual([]);
    await until('the store answers', async () => (await shop.cache('stats')).code === 0);
    expect((await shop.json('warm', build)).broken).toEqual([]);
    expect(near()).not.toEqual([]);
    expect((await shop.cache('verify', '--all')).stdout).toContain('all are whole');
  },
);

function allFiles(dir: string): readonly string[] {
  return readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

/** The blob of the data plane with that content. */
function fileWith(dir: string, content: string): string {
  const found = allFiles(join(dir, 'coordinator')).find((path) => path.includes('/cas/') && readFileSync(path, 'utf8') === content);
  if (found === undefined) throw new Error(`no blob holds ${JSON.stringify(content)}`);
  return found;
}
