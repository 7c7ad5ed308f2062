import { describe, expect, test } from 'vitest';
import { NO_PROVENANCE, type Entry } from '../../cache/entries/entry-store.ts';
import type { CollectionPlan, PurgeAnswer } from '../../cache/rpc/entry-admin.ts';
import { styleFor } from '../view/format.ts';
import { keyExplanationLines } from './explain-text.ts';
import { findKey } from './find-key.ts';
import { brokenLines, collectionLines, entryTable, purgeLines, stagingLines, usageTable } from './render.ts';

const NOW = 1_700_000_000_000;
const PLAIN = styleFor(false);
const { signal } = new AbortController();

function entryOf(key: string, over: { readonly scope?: string; readonly writtenAt?: number; readonly step?: string } = {}): Entry {
  const { scope = 'main', writtenAt = NOW - 90_000, step = 'install' } = over;
  const provenance = { ...NO_PROVENANCE, build: 'b-1', step, agent: 'edge-1' };
  return { at: { kind: 'dependency', owner: { project: 'web', scope }, key }, value: Buffer.of(), parts: [], provenance, writtenAt };
}

const none: PurgeAnswer = { purged: [], purgedCount: 0, examinedCount: 7, packCount: 0, waitingPackCount: 0 };
const plan: CollectionPlan = {
  hasPacks: true,
  stopped: undefined,
  entries: [],
  entryCount: 0,
  packs: [],
  packCount: 0,
  packBytes: 0,
  orphanCount: 0,
  kept: { referenced: 3, held: 0, recent: 1 },
};

describe('what the commands of the cache print', () => {
  test('entries in a table, with control characters of others taken out', () => {
    expect(entryTable([entryOf('npm/ab/k\u001b[2J')], NOW, PLAIN)).toEqual([
      'KIND        SCOPE  WRITTEN    BY           AGENT   KEY',
      'dependency  main   1m30s ago  b-1/install  edge-1  npm/ab/k [2J',
    ]);
  });

  test('usage with its bounds, where there are any', () => {
    const counts = { entryCount: 2, blobBytes: 1_024, evictedEntryCount: 1, evictedBlobCount: 3 };
    const owner = (scope: string) => ({ project: 'web', scope });
    const lines = usageTable(
      [
        { owner: owner('main'), ...counts, quota: { blobBytes: 2 ** 30, entryCount: 10 } },
        { owner: owner('main/pr-7'), ...counts, quota: undefined },
      ],
      PLAIN,
    );
    expect(lines.slice(1)).toEqual([
      'main       2 of 10  1 KiB of 1 GiB  1 entry, 3 blobs',
      'main/pr-7  2        1 KiB           1 entry, 3 blobs',
      'all        4        2 KiB           2 entries, 6 blobs',
    ]);
    expect(usageTable([], PLAIN)).toEqual(['The cache holds nothing that you may see.']);
  });

  test('what waits for a store that is away, and nothing where nothing ever did', () => {
    const nothing = { blobs: 0, bytes: 0, limitBytes: 2 ** 30, refusedCount: 0, droppedCount: 0, away: undefined };
    expect(stagingLines(nothing)).toEqual([]);
    expect(stagingLines({ ...nothing, blobs: 2, bytes: 2_048, refusedCount: 1, droppedCount: 3, away: 'ECONNREFUSED' })).toEqual([
      'The store does not answer: ECONNREFUSED',
      "On the data plane's disk wait for the store: 2 blobs, 2 KiB of at most 1 GiB.",
      'Refused: 1 upload, because there was no more room for what waits (--staging-bytes).',
      'Dropped: 3 blobs that waited and can never be stored; the log of the data plane says which.',
    ]);
  });

  test('a purge says why each goes, and that it has done nothing where it has not', () => {
    const bad = entryOf('npm/ab/k');
    const made = entryOf('npm/ab/l', { step: 'pack' });
    const purged = [
      { at: bad.at, provenance: bad.provenance, writtenAt: bad.writtenAt, consumed: undefined },
      { at: made.at, provenance: made.provenance, writtenAt: made.writtenAt, consumed: bad.at },
    ];
    const answer = { ...none, purged, purgedCount: 5, packCount: 1, waitingPackCount: 2 };
    const planned = purgeLines(answer, true, NOW, PLAIN);
    expect(planned.slice(1, 3).map((line) => line.replaceAll(/ +/g, ' '))).toEqual([
      'dependency main 1m30s ago b-1/install edge-1 fits npm/ab/k',
      'dependency main 1m30s ago b-1/pack edge-1 made from dependency npm/ab/k of main npm/ab/l',
    ]);
    expect(planned.slice(3)).toEqual([
      '… and 3 entries more',
      '5 entries of 7 would go; 1 pack would be given up; 2 packs go once nothing needs them and nobody has asked for a day',
      'Nothing was taken away: add --yes to do it.',
    ]);
    expect(purgeLines(answer, false, NOW, PLAIN).at(-1)).toBe(
      '5 entries of 7 went; 1 pack was given up; 2 packs go once nothing needs them and nobody has asked for a day',
    );
    expect(purgeLines(none, true, NOW, PLAIN)).toEqual(['Nothing fits, of 7 entries that were looked at.']);
  });

  test('a plan of garbage collection says when and why, and what stops it', () => {
    const pack = { name: 'p1', scope: 'main', sizeBytes: 16 * 2 ** 20, producer: 'b-1', why: 'in-grace', goesAt: NOW + 600_000 } as const;
    const lines = collectionLines({ ...plan, stopped: 'counts of references are wrong', packs: [pack], packCount: 1 }, NOW, PLAIN);
    expect(lines[0]).toBe('Nothing is collected at the moment: counts of references are wrong');
    expect(lines[2]).toBe('p1    main   16 MiB  b-1       in 10m00s at the earliest  given up; its grace time runs');
    expect(lines.at(-1)).toBe('Packs of the whole store that stay: 3 needed by entries, 0 held, 1 new or used lately');
    expect(collectionLines({ ...plan, hasPacks: false }, NOW, PLAIN)[0]).toContain('Blobs lie in files here');
  });

  test('an entry that is not whole names five digests of each kind', () => {
    const missing = Array.from({ length: 7 }, (_, index) => `digest-${index}`);
    const found = { entry: entryOf('npm/ab/k'), blobCount: 20, readBytes: 1, missing, missingCount: 7, damaged: [], damagedCount: 0 };
    const lines = brokenLines(found, NOW, PLAIN);
    expect(lines[0]).toBe('dependency npm/ab/k of main: of 20 blobs, 7 missing, 0 damaged');
    expect(lines).toHaveLength(8);
    expect(lines.at(-1)).toBe('  … and 2 more missing');
  });
});

describe('a key that somebody wrote', () => {
  const stored = (key: string) => `npm/0123456789ab/${key}`;
  const all = [entryOf(stored('npm-aa')), entryOf(stored('npm-aa'), { scope: 'main/pr-7' }), entryOf(stored('npm-ab')), entryOf('other')];
  const admin = {
    async *list() {
      yield* all;
    },
    find: () => Promise.resolve(undefined),
  };
  const search = (key: string) => findKey(admin, 'web/main/pr-7', key, 'dependency', signal);

  test('is found as it is stored and as the pipeline has it, the nearest scope first', async () => {
    for (const key of ['npm-aa', stored('npm-aa')]) {
      const { found, near } = await search(key);
      expect(found.map(({ at }) => at.owner.scope)).toEqual(['main/pr-7', 'main']);
      expect(near).toEqual([]);
    }
  });

  test('that is not there is told with those that begin most like it', async () => {
    const found = await search('npm-abc');
    expect(found.near[0]?.at.key).toBe(stored('npm-ab'));
    const why = { causes: ['main: the entry was purged'] };
    const lines = keyExplanationLines('npm-abc', found, { complete: false, why }, 'main/pr-7', NOW, PLAIN);
    expect(lines[0]).toBe('npm-abc: main/pr-7 and the scopes above it have no dependency entry of this key');
    expect(lines).toContain('  main: the entry was purged');
    expect(lines).toContain('  npm-ab of main, by b-1/install');
  });
});
