import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { scopeChain } from '../../base/caller.ts';
import { isFault } from '../../base/fault.ts';
import { digestOf, EMPTY_DIGEST, type Digest } from '../../cache/digest.ts';
import type { Owner } from '../../cache/store-index/store-index.ts';
import type { StoreOf, StoreView } from '../../cache/store-view.ts';
import { blobStoreContract, chunked, expectFault, readAll } from './blob-store.ts';

/** Stores by view under test. `damage` changes the bytes of an owner's copy behind the store's back, where that can be done. */
export type StoreOfSubject = {
  readonly name: string;
  /** Whether `damage` is there. */
  readonly damageable: boolean;
  /** Opens empty stores; what they hold is gone once they are disposed of. */
  readonly open: () => Promise<
    { readonly storeOf: StoreOf; readonly damage?: (owner: Owner, digest: Digest) => Promise<void> | void } & AsyncDisposable
  >;
};

const { signal } = new AbortController();

/** What a caller of that scope sees: the own scope and those above it, of which only the own one is written. */
export function viewIn(project: string, scope: string, producer = 'test'): StoreView {
  return { project, reads: scopeChain(scope), writes: scope, producer };
}

/** Owners whose names would be one if slashes were taken lightly. */
const LOOKALIKES: readonly (readonly [project: string, scope: string])[] = [
  ['web', 'main/pr-7'],
  ['web', 'main-pr-7'],
  ['web', 'main.pr-7'],
  ['web', 'main_pr-7'],
  ['web', 'main/pr/7'],
  ['web-main', 'pr-7'],
  ['web.main', 'pr-7'],
  ['web_main', 'pr-7'],
];

/** What every StoreOf does: blobs exist by owner, as DESIGN says of scopes. */
export function storeOfContract(subject: StoreOfSubject): void {
  blobStoreContract({
    name: `${subject.name}, a view of one scope,`,
    damageable: subject.damageable,
    async open() {
      const opened = await subject.open();
      const { storeOf, damage } = opened;
      return {
        store: storeOf(viewIn('web', 'main')),
        ...(damage === undefined ? {} : { damage: (digest) => damage({ project: 'web', scope: 'main' }, digest) }),
        [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose](),
      };
    },
  });
  describe(`${subject.name} as stores by view`, () => {
    visibility(subject);
    writing(subject);
    if (subject.damageable) damages(subject);
  });
}

function visibility({ open }: StoreOfSubject): void {
  test.for([50, 700_000])('a blob of %i bytes is there for its own scope and those below, for no other', async (size) => {
    await using stores = await open();
    const bytes = randomBytes(size);
    const digest = digestOf(bytes);
    await stores.storeOf(viewIn('web', 'main/team')).put(digest, bytes, signal);
    for (const scope of ['main/team', 'main/team/pr-7', 'main/team/pr-7/try']) {
      const store = stores.storeOf(viewIn('web', scope));
      expect([scope, await store.findMissing([digest], signal)]).toEqual([scope, []]);
      expect((await readAll(store, digest)).equals(bytes)).toBe(true);
      expect((await readAll(store, digest, { offset: 7, length: 20 })).equals(bytes.subarray(7, 27))).toBe(true);
    }
    const others = [
      ...['main', 'main/other', 'main/teams', 'team', 'release'].map((scope) => ['web', scope] as const),
      ['api', 'main/team'],
    ];
    for (const [project = '', scope = ''] of others) {
      const store = stores.storeOf(viewIn(project, scope));
      expect([project, scope, await store.findMissing([digest], signal)]).toEqual([project, scope, [digest]]);
      await expectFault('BLOB_UNKNOWN', readAll(store, digest));
      await expectFault('BLOB_UNKNOWN', readAll(store, digest, { offset: 1, length: 2 }));
    }
  });

  test('owners with similar names share nothing', async () => {
    await using stores = await open();
    const blobs = LOOKALIKES.map(() => randomBytes(100));
    for (const [index, [project, scope]] of LOOKALIKES.entries()) {
      const bytes = blobs[index] ?? Buffer.alloc(0);
      await stores.storeOf({ ...viewIn(project, scope), reads: [scope] }).put(digestOf(bytes), bytes, signal);
    }
    for (const [index, [project, scope]] of LOOKALIKES.entries()) {
      const missing = await stores.storeOf({ ...viewIn(project, scope), reads: [scope] }).findMissing(blobs.map(digestOf), signal);
      expect(new Set(missing)).toEqual(new Set(blobs.filter((_, other) => other !== index).map(digestOf)));
    }
  });

  test('a view that reads nothing has the empty blob only', async () => {
    await using stores = await open();
    const bytes = randomBytes(10);
    await stores.storeOf(viewIn('web', 'main')).put(digestOf(bytes), bytes, signal);
    const store = stores.storeOf({ project: 'web', reads: [], writes: undefined, producer: 'test' });
    expect(await store.findMissing([digestOf(bytes), EMPTY_DIGEST], signal)).toEqual([digestOf(bytes)]);
    await expectFault('BLOB_UNKNOWN', readAll(store, digestOf(bytes)));
    expect((await readAll(store, EMPTY_DIGEST)).byteLength).toBe(0);
  });

  test('answers for blobs of several scopes at once', async () => {
    await using stores = await open();
    const [above, own, beside, gone] = [1, 2, 3, 4].map(() => randomBytes(64)) as [Buffer, Buffer, Buffer, Buffer]; // four were made
    await stores.storeOf(viewIn('web', 'main')).put(digestOf(above), above, signal);
    await stores.storeOf(viewIn('web', 'main/pr-7')).put(digestOf(own), own, signal);
    await stores.storeOf(viewIn('web', 'main/pr-8')).put(digestOf(beside), beside, signal);
    const asked = [above, own, beside, gone, gone].map(digestOf);
    const missing = await stores.storeOf(viewIn('web', 'main/pr-7')).findMissing(asked, signal);
    expect(missing.toSorted()).toEqual([digestOf(beside), digestOf(gone)].toSorted());
  });
}

function writing({ open }: StoreOfSubject): void {
  test('what is put is in the own scope, and never in one above it', async () => {
    await using stores = await open();
    const bytes = randomBytes(200);
    await stores.storeOf(viewIn('web', 'main/pr-7')).put(digestOf(bytes), bytes, signal);
    expect(await stores.storeOf(viewIn('web', 'main')).findMissing([digestOf(bytes)], signal)).toEqual([digestOf(bytes)]);
    expect(await stores.storeOf({ ...viewIn('web', 'main/pr-7'), reads: ['main/pr-7'] }).findMissing([digestOf(bytes)], signal)).toEqual(
      [],
    );
  });

  test.for([80, 600_000])('who stores %i bytes that another scope holds must have them: knowing the digest is not enough', async (size) => {
    await using stores = await open();
    const bytes = randomBytes(size);
    const digest = digestOf(bytes);
    for (const scope of ['main/pr-7', 'release']) await stores.storeOf(viewIn('web', scope)).put(digest, bytes, signal);
    const store = stores.storeOf(viewIn('web', 'main/pr-8'));
    const forged = randomBytes(size);
    await expectFault('DIGEST_MISMATCH', store.put(digest, forged, signal));
    await expectFault('DIGEST_MISMATCH', store.put(digest, chunked(forged, 9_999), signal));
    expect(await store.findMissing([digest], signal)).toEqual([digest]);
    let read = 0;
    const source = async function* () {
      for await (const chunk of chunked(bytes, 9_999)) {
        read += chunk.byteLength;
        yield chunk;
      }
    };
    await store.put(digest, source(), signal);
    expect(read).toBe(size);
    expect((await readAll(store, digest)).equals(bytes)).toBe(true);
  });

  test('a view that writes nothing stores nothing, also what is there already', async () => {
    await using stores = await open();
    const bytes = randomBytes(30);
    const reader = stores.storeOf({ ...viewIn('web', 'main'), writes: undefined });
    await expectFault('FORBIDDEN', reader.put(digestOf(bytes), bytes, signal));
    await stores.storeOf(viewIn('web', 'main')).put(digestOf(bytes), bytes, signal);
    await expectFault('FORBIDDEN', reader.put(digestOf(bytes), bytes, signal));
    expect((await readAll(reader, digestOf(bytes))).equals(bytes)).toBe(true);
  });

  test.for([90, 500_000])('all scopes may store the same %i bytes at once, and each then has them', async (size) => {
    await using stores = await open();
    const bytes = randomBytes(size);
    const scopes = ['main', 'main/pr-7', 'main/pr-8', 'main/pr-7/try', 'release'];
    await Promise.all(scopes.map((scope) => stores.storeOf(viewIn('web', scope)).put(digestOf(bytes), chunked(bytes, 70_000), signal)));
    for (const scope of scopes) expect((await readAll(stores.storeOf(viewIn('web', scope)), digestOf(bytes))).equals(bytes)).toBe(true);
  });
}

function damages({ open }: StoreOfSubject): void {
  test.for([100, 900_000])('damage to the %i bytes of one scope does not reach what another stored', async (size) => {
    await using stores = await open();
    const bytes = randomBytes(size);
    const digest = digestOf(bytes);
    const [main, pr] = [stores.storeOf(viewIn('web', 'main')), stores.storeOf(viewIn('web', 'main/pr-7'))];
    await pr.put(digest, bytes, signal);
    await main.put(digest, bytes, signal);
    await stores.damage?.({ project: 'web', scope: 'main/pr-7' }, digest);
    expect((await readAll(main, digest)).equals(bytes)).toBe(true);
    const seen = await readAll(pr, digest).catch((error: unknown) => {
      if (isFault(error, 'BLOB_CORRUPT')) return undefined;
      throw error;
    });
    if (seen !== undefined) expect(seen.equals(bytes)).toBe(true);
    expect((await readAll(pr, digest)).equals(bytes)).toBe(true); // now from above
  });
}
