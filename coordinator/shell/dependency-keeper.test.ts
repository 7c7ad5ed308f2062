import { expect, test } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import { Fault } from '../../base/fault.ts';
import { memoryLogger } from '../../base/log.ts';
import { decodeStepResult } from '../../cache/action/action-result.ts';
import type { DirectoryOutput } from '../../cache/action/result.ts';
import { digestOf } from '../../cache/digest.ts';
import { NO_PROVENANCE } from '../../cache/entries/entry-store.ts';
import type { EntryFinder } from '../../cache/entries/finder.ts';
import { entriesThatFail, memoryEntries } from '../../test/fixtures/memory-entries.ts';
import { stepId } from '../../test/scenarios/stage.ts';
import type { DependencyResult } from '../core/dependency.ts';
import { entryKeyOf } from './dependency-key.ts';
import { openDependencyKeeper, type DependencyKeeperOptions } from './dependency-keeper.ts';

const { signal } = new AbortController();
const CACHE = { name: 'npm', paths: ['.npm'], key: 'k', parts: [], fallback: [], pulls: true, pushes: true };

function treeOf(text: string): DirectoryOutput {
  const digest = digestOf(Buffer.from(text));
  return { kind: 'directory', path: '.npm', tree: digest, root: digest, bytes: 3 };
}

/** Keeps one tree for a build, and returns what the core is told. */
async function keep(entries: EntryFinder | undefined, text: string, build: string, over: Partial<DependencyKeeperOptions> = {}) {
  const log = memoryLogger();
  const { promise, resolve } = Promise.withResolvers<readonly DependencyResult[]>();
  await using keeper = openDependencyKeeper({
    entries,
    describe: () => ({
      project: 'shop',
      scope: 'main/pr-7',
      zone: 'untrusted',
      caches: [CACHE],
      provenance: { ...NO_PROVENANCE, build, step: 'install' },
    }),
    post: (event) => event.kind === 'dependencies-kept' && resolve(event.results),
    clock: systemClock,
    log,
    ...over,
  });
  keeper.keep(stepId('b1/install'), [{ name: 'npm', trees: [treeOf(text)] }]);
  return { results: await promise, log };
}

test('the entry goes into the own scope, under the key, with the trees and who made them', async () => {
  const entries = memoryEntries();
  expect((await keep(entries, 'one', 'b-1')).results).toEqual([{ name: 'npm', outcome: 'kept' }]);
  const [entry, ...others] = await entries.store.list('shop', {}, undefined, 10, signal);
  expect(others).toEqual([]);
  expect(entry?.at).toEqual({ kind: 'dependency', owner: { project: 'shop', scope: 'main/pr-7' }, key: entryKeyOf(CACHE, 'untrusted') });
  expect(decodeStepResult(entry?.value ?? new Uint8Array()).outputs).toEqual([treeOf('one')]);
  expect(entry?.provenance).toMatchObject({ build: 'b-1', step: 'install' });
});

test('of two savers with the same key the first wins: an equal root is fine, another one is told and stays out', async () => {
  const entries = memoryEntries();
  await keep(entries, 'one', 'b-1');
  expect((await keep(entries, 'one', 'b-2')).results).toEqual([{ name: 'npm', outcome: 'same' }]);
  const { results, log } = await keep(entries, 'two', 'b-3');
  expect(results).toMatchObject([{ name: 'npm', outcome: 'differs' }]);
  expect(results[0]?.warning).toMatch(/^non-determinism: the entry of build b-1, step install, has the same key and other content/);
  expect(log.entries.map(({ event }) => event)).toContain('dependency-differs');
  const [entry] = await entries.store.list('shop', {}, undefined, 10, signal);
  expect(decodeStepResult(entry?.value ?? new Uint8Array()).outputs).toEqual([treeOf('one')]);
});

test('a store that is away for a while costs the time, not the entry', async () => {
  const entries = memoryEntries();
  let calls = 0;
  const put: EntryFinder['put'] = (entry, options, stop) => {
    calls += 1;
    return calls <= 2 ? Promise.reject(new Fault('PEER_UNAVAILABLE', 'refused')) : entries.put(entry, options, stop);
  };
  expect((await keep({ ...entries, put }, 'one', 'b-1')).results).toEqual([{ name: 'npm', outcome: 'kept' }]);
  expect(calls).toBe(3);
});

test.for([
  ['the store stays away', entriesThatFail(new Fault('STORE_UNAVAILABLE', 'connection refused')), 'connection refused'],
  ['the blobs have gone', entriesThatFail(new Fault('BLOB_UNKNOWN', 'no such blob')), 'no such blob'],
  ['there is no store', undefined, 'there is no store for dependency caches here'],
] as const)('what cannot be written is dropped, with a reason: %s', async ([, entries, reason]) => {
  const { results, log } = await keep(entries, 'one', 'b-1', { deadlineMs: 50 });
  expect(results).toEqual([
    {
      name: 'npm',
      outcome: 'dropped',
      warning: `its entry could not be written, so the next run begins with what there was before: ${reason}`,
    },
  ]);
  expect(log.entries).toMatchObject([{ event: 'dependency-not-kept', fields: { name: 'npm' } }]);
});

test('more than may wait are dropped at once', async () => {
  const { results } = await keep(memoryEntries(), 'one', 'b-1', { waitingMax: 0 });
  expect(results).toMatchObject([{ outcome: 'dropped', warning: expect.stringContaining('others wait to be written already') }]);
});
