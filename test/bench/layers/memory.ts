import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { systemClock } from '../../../base/clock.ts';
import { memoryLogger } from '../../../base/log.ts';
import { openTier } from '../../../agent/tier/tier.ts';
import { openWorkspaces } from '../../../agent/workspace/workspace.ts';
import { EMPTY_DIGEST, digestOf, type Digest } from '../../../cache/digest.ts';
import { buildTree } from '../../../cache/tree/build.ts';
import { encodeDirectory, type DirectoryNode, type FileNode } from '../../../cache/tree/directory.ts';
import { digestOfZeros, fileStore } from './file-store.ts';

/**
 * How much memory an agent's restores and saves take at most: `node test/bench/layers/memory.ts [CASE...]`. Each case runs in a process of
 * its own, whose largest resident set is printed; its trees are made by another one. Needs room for two million small files.
 */
const CASES = ['idle', 'million-restore', 'million-save', 'large-restore', 'large-save', 'restores-64'] as const;
type Case = (typeof CASES)[number];

const never = new AbortController().signal;
const env = { log: memoryLogger(), clock: systemClock };
const LARGE_BYTES = 20 * 1024 ** 3;
const CONTENTS = 1_000;

/** Stores a tree of directories of 100 files, of contents that repeat; returns its root. */
async function storeTree(dir: string, fileCount: number, seed: number): Promise<Digest> {
  const store = fileStore(dir);
  const blobs: Digest[] = [];
  for (let index = 0; index < CONTENTS; index += 1) {
    const bytes = Buffer.from(`content ${seed} ${index} `.repeat(30));
    blobs.push(digestOf(bytes));
    await store.put(digestOf(bytes), bytes, never);
  }
  const put = async (files: FileNode[], directories: DirectoryNode[]) => {
    const bytes = encodeDirectory({ files, directories, symlinks: [] });
    await store.put(digestOf(bytes), bytes, never);
    return digestOf(bytes);
  };
  const width = 100;
  let level: DirectoryNode[] = [];
  for (let index = 0; index < fileCount / width; index += 1) {
    const files = Array.from({ length: width }, (_, at) => {
      const number = index * width + at;
      return { name: `file-${String(number).padStart(8, '0')}.js`, digest: blobs[number % CONTENTS] ?? EMPTY_DIGEST, executable: false };
    });
    level.push({ name: `package-${String(index).padStart(6, '0')}`, digest: await put(files, []) });
  }
  while (level.length > width) {
    const above: DirectoryNode[] = [];
    for (let at = 0; at < level.length; at += width)
      above.push({ name: `group-${String(at).padStart(6, '0')}`, digest: await put([], level.slice(at, at + width)) });
    level = above;
  }
  return put([], level);
}

async function largeTree(dir: string): Promise<{ readonly root: Digest; readonly large: Digest }> {
  const large = digestOfZeros(LARGE_BYTES);
  const tree = buildTree([{ kind: 'file', path: 'large', digest: large, executable: false }]);
  for (const [digest, bytes] of tree.encoded) await fileStore(dir).put(digest, bytes, never);
  return { root: tree.root, large };
}

/** Makes what the case needs in `dir`, and says what its process is to be told. */
async function prepare(name: Case, dir: string): Promise<readonly string[]> {
  const blobs = path.join(dir, 'store');
  if (name === 'million-restore' || name === 'million-save') return [await storeTree(blobs, 1_000_000, 0)];
  if (name === 'restores-64') return Promise.all(Array.from({ length: 64 }, async (_, seed) => storeTree(blobs, 2_000, seed)));
  if (name !== 'large-restore' && name !== 'large-save') return [];
  const { root, large } = await largeTree(blobs);
  return [root, large];
}

/** The case itself. */
async function run(name: Case, dir: string, words: readonly string[]): Promise<string> {
  const [first = EMPTY_DIGEST, second] = words as Digest[]; // written by `prepare`
  const store = fileStore(path.join(dir, 'store'), new Set(second === undefined || name === 'restores-64' ? [] : [second]));
  await using tier = openTier({ dir: path.join(dir, 'tier'), maxBytes: 1e15, guarded: true, env });
  if (name === 'million-restore' || name === 'large-restore') {
    using tree = await tier.view('scope', store).tree(first, 'deps', never);
    return tree.rung;
  }
  if (name === 'restores-64') {
    const leases = await Promise.all((words as Digest[]).map((root) => tier.view('scope', store).tree(root, 'deps', never)));
    for (const lease of leases) lease[Symbol.dispose]();
    return `${leases.length} trees`;
  }
  if (name === 'idle') return '';
  const workspaces = await openWorkspaces({ dir: path.join(dir, 'workspaces'), tier, overlays: undefined, env });
  const placed = [{ path: 'deps', root: name === 'large-save' ? undefined : first }];
  await using workspace = await workspaces.prepare(
    { inputRoot: EMPTY_DIGEST, scope: 's', workingDirectory: '', outputs: [], placed },
    store,
    never,
  );
  if (name === 'large-save') {
    fs.mkdirSync(path.join(workspace.root, 'deps'));
    fs.closeSync(fs.openSync(path.join(workspace.root, 'deps/large'), 'w'));
    fs.truncateSync(path.join(workspace.root, 'deps/large'), LARGE_BYTES);
  }
  const saved = await workspace.save('deps', never);
  return `${saved?.bytes} bytes, ${saved?.hashedCount} files read, root ${saved?.root === first ? 'as restored' : 'other'}`;
}

async function main(): Promise<void> {
  const [mode, name, dir, ...words] = process.argv.slice(2);
  const chosen = CASES.find((one) => one === name);
  if (mode === '--prepare' && chosen !== undefined && dir !== undefined) {
    process.stdout.write((await prepare(chosen, dir)).join(' '));
    return;
  }
  if (mode === '--run' && chosen !== undefined && dir !== undefined) {
    const said = await run(chosen, dir, words);
    const { maxRSS, userCPUTime, systemCPUTime } = process.resourceUsage();
    process.stdout.write(`${Math.round(maxRSS / 1024)} MiB, ${((userCPUTime + systemCPUTime) / 1e6).toFixed(1)} s CPU ${said}`);
    return;
  }
  const wanted = process.argv.slice(2);
  for (const one of CASES.filter((known) => wanted.length === 0 || wanted.includes(known))) {
    const home = fs.mkdtempSync(path.join(os.tmpdir(), 'switchyard-memory-'));
    const self = fileURLToPath(import.meta.url);
    const call = (...args: string[]) =>
      spawnSync(process.execPath, [self, ...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] }).stdout;
    const given = call('--prepare', one, home)
      .split(' ')
      .filter((word) => word !== '');
    process.stdout.write(`${one.padEnd(18)} ${call('--run', one, home, ...given)}\n`);
    fs.rmSync(home, { recursive: true, force: true });
  }
}

await main();
