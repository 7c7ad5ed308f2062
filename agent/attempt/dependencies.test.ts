import fs from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import { Fault } from '../../base/fault.ts';
import { memoryLogger } from '../../base/log.ts';
import type { DirectoryOutput } from '../../cache/action/result.ts';
import type { BlobStore } from '../../cache/blob-store.ts';
import { digestOf, EMPTY_DIGEST } from '../../cache/digest.ts';
import { memoryStore } from '../../cache/memory.ts';
import { offer } from '../../test/fixtures/session-rig.ts';
import { tempDir } from '../../test/fixtures/temp-dir.ts';
import type { Offer, OfferedDependency } from '../session/message.ts';
import { openTier } from '../tier/tier.ts';
import { openWorkspaces } from '../workspace/workspace.ts';
import { prepareWorkspace, saveDependencies, unsaved } from './dependencies.ts';

const never = new AbortController().signal;
const NPM: OfferedDependency = {
  name: 'npm',
  paths: ['.npm'],
  placed: [],
  save: true,
  exact: false,
  only: [],
  keepModes: false,
  keepMtimes: false,
};

function offerOf(...dependencies: readonly OfferedDependency[]): Offer {
  return offer('a.1', { workingDirectory: 'web', inputRoot: EMPTY_DIGEST, dependencies, instanceName: 'shop/main' });
}

async function openHost(store: BlobStore = memoryStore()) {
  const dir = await tempDir();
  const env = { log: memoryLogger(), clock: systemClock };
  const tier = openTier({ dir: path.join(dir.path, 'tier'), maxBytes: 100_000_000, guarded: false, env });
  const workspaces = await openWorkspaces({ dir: path.join(dir.path, 'ws'), tier, overlays: undefined, env });
  const trouble: unknown[] = [];
  return {
    store,
    trouble,
    prepare: (it: Offer) => prepareWorkspace(workspaces, it, store, env.log, never),
    /** Runs a command that writes these files below the working directory, and saves what it left. */
    async run(it: Offer, files: Readonly<Record<string, string>>) {
      const { workspace, placed } = await this.prepare(it);
      await using _ = workspace;
      for (const [name, text] of Object.entries(files)) {
        const file = path.join(workspace.root, 'web', name);
        fs.mkdirSync(path.dirname(file), { recursive: true });
        fs.writeFileSync(file, text);
      }
      const context = { offer: it, workspace, placed, onTrouble: (error: unknown) => trouble.push(error), log: env.log };
      return (await saveDependencies(context, never)).reports;
    },
    async [Symbol.asyncDispose]() {
      await tier[Symbol.asyncDispose]();
      await dir[Symbol.asyncDispose]();
    },
  };
}

/** The trees that a run stored. */
function treesOf(reports: Awaited<ReturnType<typeof saveDependencies>>['reports']): readonly DirectoryOutput[] {
  return reports.flatMap(({ save }) => (save.kind === 'stored' ? save.trees : []));
}

test('what a run leaves is placed for the next one, below the working directory, as a copy of its own', async () => {
  await using host = await openHost();
  const trees = treesOf(await host.run(offerOf(NPM), { '.npm/a': 'one', other: 'not kept' }));
  expect(trees.map((tree) => tree.path)).toEqual(['.npm']);
  const next = offerOf({ ...NPM, placed: trees });
  for (let round = 0; round < 2; round += 1) {
    const { workspace, placed } = await host.prepare(next);
    await using _ = workspace;
    const at = path.join(workspace.root, 'web/.npm/a');
    expect(fs.readFileSync(at, 'utf8')).toBe('one');
    const how = round === 0 ? { rung: 'present', bytesIn: 0 } : { rung: 'delta', bytesIn: 3 };
    expect(placed).toEqual(new Map([['npm', { restores: [{ path: '.npm', ...how }] }]]));
    fs.writeFileSync(at, 'changed');
  }
});

test('after an entry of the key itself nothing is stored; after one of a fallback the whole of it is, and equal content has an equal root', async () => {
  await using host = await openHost();
  const placed = treesOf(await host.run(offerOf(NPM), { '.npm/a': 'one' }));
  expect(await host.run(offerOf({ ...NPM, placed, exact: true }), { '.npm/b': 'two' })).toMatchObject([
    { name: 'npm', save: { kind: 'none' } },
  ]);
  const updated = treesOf(await host.run(offerOf({ ...NPM, placed }), { '.npm/b': 'two' }));
  const anew = treesOf(await host.run(offerOf(NPM), { '.npm/a': 'one', '.npm/b': 'two' }));
  expect(updated.map(({ root }) => root)).toEqual(anew.map(({ root }) => root));
  expect(updated[0]?.root).not.toBe(placed[0]?.root);
});

test('an entry whose blobs are gone costs the head start: the step begins without, and its content is stored though the key was found', async () => {
  await using host = await openHost();
  const gone = digestOf(Buffer.from('gone'));
  const lost: OfferedDependency = { ...NPM, exact: true, placed: [{ kind: 'directory', path: '.npm', tree: gone, root: gone, bytes: 4 }] };
  const [said] = await host.run(offerOf(lost), { '.npm/a': 'one' });
  expect(said).toMatchObject({ name: 'npm', placeProblem: expect.stringContaining(gone), save: { kind: 'stored' } });
  expect(unsaved(offerOf(lost), new Map([['npm', { placeProblem: 'gone' }]]))).toEqual([
    { name: 'npm', placeProblem: 'gone', save: { kind: 'none' } },
  ]);
});

test('only the part that is asked for is placed', async () => {
  await using host = await openHost();
  const trees = treesOf(await host.run(offerOf(NPM), { '.npm/bin/tool': 'tool', '.npm/lib/x.h': 'h', '.npm/lib/x.c': 'c' }));
  const { workspace } = await host.prepare(offerOf({ ...NPM, placed: trees, save: false, only: ['bin', '**/*.h'] }));
  await using _ = workspace;
  const found = fs.readdirSync(path.join(workspace.root, 'web/.npm'), { recursive: true, encoding: 'utf8' });
  expect(found.toSorted()).toEqual(['bin', 'bin/tool', 'lib', 'lib/x.h']);
});

test('permission bits and times are kept where that is asked for, and the next copy has them too', async () => {
  await using host = await openHost();
  const kept: OfferedDependency = { ...NPM, keepModes: true, keepMtimes: true };
  const build = async (it: OfferedDependency) => {
    const { workspace, placed } = await host.prepare(offerOf(it));
    await using _ = workspace;
    const at = path.join(workspace.root, 'web/.npm/dir/file');
    const before = fs.existsSync(at) ? fs.statSync(at) : undefined;
    fs.mkdirSync(path.dirname(at), { recursive: true });
    fs.writeFileSync(path.join(workspace.root, 'web/.npm/new'), String(it.placed.length));
    if (before === undefined) fs.writeFileSync(at, 'x', { mode: 0o600 });
    fs.utimesSync(at, 1_600_000_000, 1_600_000_000);
    const context = { offer: offerOf(it), workspace, placed, onTrouble: () => {}, log: memoryLogger() };
    const trees = treesOf((await saveDependencies(context, never)).reports);
    return { trees, before: before === undefined ? undefined : [before.mode & 0o777, Math.round(before.mtimeMs)] };
  };
  const first = await build(kept);
  const second = await build({ ...kept, placed: first.trees });
  const third = await build({ ...kept, placed: second.trees });
  expect([first.before, second.before, third.before]).toEqual([undefined, [0o600, 1_600_000_000_000], [0o600, 1_600_000_000_000]]);
  expect((await build({ ...NPM, placed: first.trees })).before).toEqual([0o600, 1_600_000_000_000]);
});

test('inputs that are gone are an error as before, with dependency caches or without', async () => {
  await using host = await openHost();
  const inputRoot = digestOf(Buffer.from('gone'));
  await expect(host.prepare({ ...offerOf(NPM), inputRoot })).rejects.toThrow();
  await expect(host.prepare({ ...offerOf(), inputRoot })).rejects.toThrow();
});

test('a store that takes nothing costs what would have been kept, and the host hears of it', async () => {
  const inner = memoryStore();
  const full = new Fault('STORE_FULL', 'the store is full');
  const store: BlobStore = { ...inner, put: () => Promise.reject(full) };
  await using host = await openHost(store);
  expect(await host.run(offerOf(NPM), { '.npm/a': 'one' })).toEqual([
    { name: 'npm', save: { kind: 'dropped', problem: expect.stringContaining('the store is full') } },
  ]);
  expect(host.trouble).toHaveLength(1);
});

test('a path that is no directory is dropped; one that is not there is left out; a policy that only takes up stores nothing', async () => {
  await using host = await openHost();
  expect(await host.run(offerOf(NPM), { '.npm': 'a file' })).toMatchObject([{ save: { kind: 'dropped' } }]);
  expect(await host.run(offerOf({ ...NPM, paths: ['.npm', 'more/deep'] }), { 'more/deep/x': '1' })).toMatchObject([
    { save: { kind: 'stored', trees: [{ path: 'more/deep' }] } },
  ]);
  expect(await host.run(offerOf({ ...NPM, save: false }), { '.npm/a': 'one' })).toEqual([{ name: 'npm', save: { kind: 'none' } }]);
});
