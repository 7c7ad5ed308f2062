import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import { memoryLogger } from '../../base/log.ts';
import { NO_RESOURCES } from '../../base/resources.ts';
import type { BlobStore } from '../../cache/blob-store.ts';
import type { Digest } from '../../cache/digest.ts';
import { memoryStore } from '../../cache/memory.ts';
import { blobReader } from '../../cache/read-blob.ts';
import { decodeTree } from '../../cache/action/tree-message.ts';
import { digestOf } from '../../cache/digest.ts';
import { scanTree } from '../../cache/tree/scan.ts';
import { uploadTree } from '../../cache/tree/upload.ts';
import { needs } from '../../test/fixtures/host.ts';
import { tempDir, type TempDir } from '../../test/fixtures/temp-dir.ts';
import { openLog } from '../sandbox/attempt.ts';
import { openSandbox } from '../sandbox/open.ts';
import type { Sandbox } from '../sandbox/sandbox.ts';
import { openTier, type LocalTier } from '../tier/tier.ts';
import { collectOutputs } from './outputs.ts';
import { openWorkspaces, type Workspace, type Workspaces } from './workspace.ts';

const never = new AbortController().signal;
const env = { log: memoryLogger(), clock: systemClock };

const NAMES = ['a', 'b', 'dir', 'deep', 'x y', "q'uote"];
const place = fc.array(fc.constantFrom(...NAMES), { minLength: 1, maxLength: 3 }).map((names) => names.join('/'));
const quote = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;

/** Things that builds do to directories, as shell commands that may each fail. */
const operation: fc.Arbitrary<string> = fc.oneof(
  fc.tuple(place, fc.nat(3)).map(([at, text]) => `mkdir -p "$(dirname ${quote(at)})"; echo ${text} >${quote(at)}`),
  place.map((at) => `rm -rf ${quote(at)}`),
  place.map((at) => `rm -rf ${quote(at)}; mkdir -p ${quote(at)}`),
  place.map((at) => `rm -rf ${quote(at)}; mkdir -p ${quote(at)}; echo new >${quote(`${at}/fresh`)}`),
  fc.tuple(place, place).map(([from, to]) => `mv -T ${quote(from)} ${quote(to)}`),
  place.map((at) => `chmod a+x ${quote(at)}`),
  place.map((at) => `ln -sfn target ${quote(at)}`),
  place.map((at) => `touch ${quote(at)}`),
  place.map((at) => `mkdir -p ${quote(at)}`),
);

describe.runIf(needs('bubblewrap'))('a directory that a step changes in an overlay', () => {
  let dir: TempDir;
  let sandbox: Sandbox;
  let tier: LocalTier;
  let workspaces: Workspaces;
  let store: BlobStore;
  beforeAll(async () => {
    dir = await tempDir();
    sandbox = await openSandbox('bubblewrap', { dir: path.join(dir.path, 'sandbox'), readOnlyPaths: [], hostPath: '' }, env);
    tier = openTier({ dir: path.join(dir.path, 'tier'), maxBytes: 1e9, guarded: true, env });
    workspaces = await openWorkspaces({ dir: path.join(dir.path, 'ws'), tier, overlays: sandbox.overlays, env });
    store = memoryStore();
  });
  afterAll(async () => {
    await sandbox[Symbol.asyncDispose]();
    await tier[Symbol.asyncDispose]();
    await dir[Symbol.asyncDispose]();
  });

  async function upload(at: string): Promise<Digest> {
    const tree = await scanTree(at, { escapingLinks: 'keep' }, never);
    await uploadTree(tree, store, never);
    return tree.root;
  }

  async function sh(workspace: Workspace, script: string): Promise<void> {
    using log = openLog(path.join(dir.path, 'log'));
    const { root, binds } = workspace;
    const spec = { command: ['sh', '-c', script], env: {}, root, binds, workingDirectory: '', network: false, resources: NO_RESOURCES };
    const exit = await sandbox.run({ ...spec, logFd: log.fd, runTimeoutMs: 60_000, graceMs: 0 }, never);
    expect([exit, fs.readFileSync(path.join(dir.path, 'log'), 'utf8').slice(-300)]).toMatchObject([{ kind: 'exited', code: 0 }, '']);
  }

  const request = async (placed: Digest | undefined) => {
    const inputs = path.join(dir.path, 'inputs');
    fs.mkdirSync(inputs, { recursive: true });
    return {
      inputRoot: await upload(inputs),
      scope: 's',
      workingDirectory: '',
      outputs: [],
      placed: [{ path: 'deps/tree', root: placed }],
    };
  };

  test('costs no write of the whole file system when it goes, where the kernel can', async (context) => {
    const [major = 0, minor = 0] = os.release().split('.').map(Number);
    if (sandbox.overlays === undefined || major < 5 || (major === 5 && minor < 10)) return context.skip('needs overlays and Linux 5.10');
    const tree = path.join(dir.path, 'some-tree');
    fs.mkdirSync(tree);
    fs.writeFileSync(path.join(tree, 'file'), 'x');
    await using workspace = await workspaces.prepare(await request(await upload(tree)), store, never);
    await sh(workspace, 'grep -q "^overlay .*[,=]volatile" /proc/self/mounts && echo y >deps/tree/file');
    expect((await workspace.save('deps/tree', never))?.hashedCount).toBe(1);
  });

  test('is saved as the tree that it would be without one, whatever the step does', { timeout: 240_000 }, async (context) => {
    if (sandbox.overlays === undefined) return context.skip('overlays do not work here');
    let round = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(operation, { maxLength: 12 }), fc.array(operation, { maxLength: 8 }), async (first, second) => {
        round += 1;
        const plain = path.join(dir.path, `plain-${round}`);
        fs.mkdirSync(plain);
        const run = (script: readonly string[]) =>
          execFileSync('sh', ['-c', script.map((one) => `{ ${one}; } 2>/dev/null`).join('\n')], { cwd: plain });
        run([...first, 'true']);
        const root = await upload(plain);
        run([...second, 'true']);
        const expected = await upload(plain);
        await using workspace = await workspaces.prepare(await request(root), store, never);
        await sh(workspace, ['cd deps/tree', ...second.map((one) => `{ ${one}; } 2>/dev/null`), 'true'].join('\n'));
        const saved = await workspace.save('deps/tree', never);
        expect(saved?.root).toBe(expected);
        const message = decodeTree(await blobReader(store)(saved?.tree ?? root, never));
        expect(digestOf(message[0] ?? new Uint8Array(0))).toBe(expected);
        const collected = await collectOutputs(workspace.view, '', ['deps'], store, never);
        const whole = path.join(dir.path, `whole-${round}`, 'deps');
        fs.mkdirSync(whole, { recursive: true });
        fs.renameSync(plain, path.join(whole, 'tree'));
        expect(collected.entries).toMatchObject([{ kind: 'directory', root: await upload(whole) }]);
      }),
      { numRuns: 15 },
    );
    expect(tier.restores.of('copy')).toBe(0);
  });

  test('that is removed, or replaced by a file, is not saved as it was', async (context) => {
    if (sandbox.overlays === undefined) return context.skip('overlays do not work here');
    const base = path.join(dir.path, 'base');
    fs.mkdirSync(path.join(base, 'sub'), { recursive: true });
    fs.writeFileSync(path.join(base, 'sub/file'), 'x');
    const root = await upload(base);
    {
      await using workspace = await workspaces.prepare(await request(root), store, never);
      await sh(workspace, 'rm -r deps/tree');
      expect(await workspace.save('deps/tree', never)).toBeUndefined();
    }
    {
      await using workspace = await workspaces.prepare(await request(root), store, never);
      await sh(workspace, 'rm -r deps/tree; echo f >deps/tree');
      await expect(workspace.save('deps/tree', never)).rejects.toMatchObject({ code: 'BAD_REQUEST' });
    }
    {
      await using workspace = await workspaces.prepare(await request(root), store, never);
      await sh(workspace, 'rm -r deps; mkdir -p deps/tree; echo f >deps/tree/only');
      const [only, ...more] = (await collectOutputs(workspace.view, '', ['deps/tree'], store, never)).entries;
      expect(more).toEqual([]);
      expect(only).toMatchObject({ kind: 'directory', bytes: 2 });
    }
  });

  test("reads only what changed, and is the next step's without a byte over the network", async (context) => {
    if (sandbox.overlays === undefined) return context.skip('overlays do not work here');
    const base = path.join(dir.path, 'many');
    for (let index = 0; index < 300; index += 1) {
      fs.mkdirSync(path.join(base, `p${index % 30}`), { recursive: true });
      fs.writeFileSync(path.join(base, `p${index % 30}`, `f${index}`), `file ${index}`);
    }
    let root = await upload(base);
    const before = tier.restores.of('delta');
    for (const [script, hashedCount] of [
      ['true', 0],
      ['echo changed >deps/tree/p3/f3; rm -r deps/tree/p7; mkdir deps/tree/new; echo n >deps/tree/new/n', 2],
      ['cat deps/tree/p3/f3 >deps/tree/copy', 1],
    ] as const) {
      await using workspace = await workspaces.prepare(await request(root), store, never);
      const fetchedBytes = root === (await upload(base)) ? undefined : workspace.bytesIn;
      if (fetchedBytes !== undefined) expect(fetchedBytes).toBeLessThan(4_000); // directories only
      await sh(workspace, script);
      const saved = await workspace.save('deps/tree', never);
      expect(saved?.hashedCount).toBe(hashedCount);
      root = saved?.root ?? root;
    }
    expect(tier.restores.of('delta') - before).toBeGreaterThanOrEqual(1);
    await using workspace = await workspaces.prepare(await request(root), store, never);
    await sh(workspace, 'cat deps/tree/copy deps/tree/new/n deps/tree/p4/f4 >/build/seen; test ! -e deps/tree/p7');
    expect(fs.readFileSync(path.join(workspace.root, 'seen'), 'utf8')).toBe('changed\nn\nfile 4');
  });

  test('shares its bytes with the tier, which no step can change through it (failure mode 9)', async (context) => {
    if (sandbox.overlays === undefined) return context.skip('overlays do not work here');
    const base = path.join(dir.path, 'shared');
    fs.mkdirSync(base);
    for (const name of ['a', 'b']) fs.writeFileSync(path.join(base, name), 'the same bytes in both');
    const root = await upload(base);
    const script = 'cd deps/tree && chmod 777 a && echo written >>a && printf x | dd of=b bs=1 conv=notrunc && ln a c && truncate -s 0 c';
    for (let round = 0; round < 2; round += 1) {
      await using workspace = await workspaces.prepare(await request(root), store, never);
      const [bind] = workspace.binds;
      await sh(workspace, `test "$(cat deps/tree/a)" = 'the same bytes in both' && { ${script}; } 2>/dev/null`);
      for (const name of ['a', 'b']) expect(fs.readFileSync(path.join(bind?.from ?? '', name), 'utf8')).toBe('the same bytes in both');
      expect(fs.statSync(path.join(bind?.from ?? '', 'a')).mode & 0o777).toBe(0o644);
    }
  });

  test('that the step made itself is kept as it lies, and mounted for the next step', async (context) => {
    if (sandbox.overlays === undefined) return context.skip('overlays do not work here');
    let root: Digest | undefined;
    {
      await using workspace = await workspaces.prepare(await request(undefined), store, never);
      await sh(workspace, 'mkdir -p deps/tree/a/b; echo made >deps/tree/a/b/file; ln -s file deps/tree/a/b/link; chmod 700 deps/tree/a');
      root = (await workspace.save('deps/tree', never))?.root;
    }
    const before = tier.restores.of('overlay');
    await using next = await workspaces.prepare(await request(root), store, never);
    expect(tier.restores.of('overlay')).toBe(before + 1);
    expect(next.bytesIn).toBe(0);
    await sh(next, 'cat deps/tree/a/b/link >seen');
    expect(fs.readFileSync(path.join(next.root, 'seen'), 'utf8')).toBe('made\n');
    expect((await next.save('deps/tree', never))?.root).toBe(root);
  });
});
