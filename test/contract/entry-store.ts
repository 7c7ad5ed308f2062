import { describe, expect, test } from 'vitest';
import { NO_PROVENANCE, type Entry, type EntryStore, type Provenance } from '../../cache/entries/entry-store.ts';
import type { EntryKey, EntryKind } from '../../cache/store-index/store-index.ts';
import { expectFault } from './blob-store.ts';

/** An entry store under test, where no entry needs any blob. */
export type EntryStoreSubject = {
  readonly name: string;
  /** Whether entries are signed, and `damage` is there. */
  readonly signed: boolean;
  readonly open: () => Promise<{ readonly store: EntryStore } & Partial<Damages> & AsyncDisposable>;
};

/** Changes behind the store's back, as somebody who may write where it keeps its records but has no key. */
export type Damages = {
  /** Gives the stored record of one name to `change`, and puts what it returns under another (or the same). */
  readonly damage: (from: EntryKey, to: EntryKey, change: (record: Uint8Array) => Uint8Array) => Promise<void>;
  /** Whether there still is a record under that name. */
  readonly holds: (at: EntryKey) => Promise<boolean>;
};

const { signal } = new AbortController();

/** The name of an entry of the project web. */
export function nameOf(key: string, scope = 'main', kind: EntryKind = 'dependency', project = 'web'): EntryKey {
  return { kind, owner: { project, scope }, key };
}

let time = 1_700_000_000_000;

/** An entry with that text for its value, later than all made before. */
export function entryOf(at: EntryKey, text = 'value', provenance: Partial<Provenance> = {}): Entry {
  time += 1_000;
  const made = { ...NO_PROVENANCE, writer: 'executor', ...provenance } as const;
  return { at, value: Buffer.from(text), parts: [{ name: 'file package-lock.json', value: 'ab' }], provenance: made, writtenAt: time };
}

/** The entry with its bytes as a Buffer, for comparing. */
export function plain(entry: Entry | undefined): Entry | undefined {
  return entry === undefined ? undefined : { ...entry, value: Buffer.from(entry.value) };
}

/** What every EntryStore does. */
export function entryStoreContract(subject: EntryStoreSubject): void {
  describe(`${subject.name} as an entry store`, () => {
    names(subject);
    drops(subject);
    firstWrites(subject);
    prefixes(subject);
    lists(subject);
    refusals(subject);
    if (subject.signed) damages(subject);
  });
}

function names({ open }: EntryStoreSubject): void {
  test('gives back what was put, whole, under that name only', async () => {
    await using subject = await open();
    const consumed = [{ kind: 'action', scope: 'main', key: 'k', build: 'b0', agent: 'a0' }] as const;
    const provenance = { build: 'b', step: 's', attempt: '2', agent: 'a', zone: 'trusted', caller: 'c', consumed };
    const put = entryOf(nameOf('npm-ä-1'), 'value\0\xff', provenance);
    expect(await subject.store.get('dependency', 'web', ['main'], 'npm-ä-1', signal)).toBeUndefined();
    expect((await subject.store.put(put, { replace: false }, signal)).kind).toBe('kept');
    expect(plain(await subject.store.get('dependency', 'web', ['main'], 'npm-ä-1', signal))).toEqual(put);
    for (const [kind, project, scope, key] of [
      ['action', 'web', 'main', 'npm-ä-1'],
      ['dependency', 'api', 'main', 'npm-ä-1'],
      ['dependency', 'web', 'main/pr-7', 'npm-ä-1'],
      ['dependency', 'web', 'main', 'npm-ä-'],
    ] as const) {
      expect(await subject.store.get(kind, project, [scope], key, signal)).toBeUndefined();
    }
  });

  test('finds the entry of the nearest scope that was asked for, and of no other', async () => {
    await using subject = await open();
    const [above, own, beside] = ['main', 'main/pr-7', 'main/pr-8'].map((scope) => entryOf(nameOf('k', scope), scope));
    if (above === undefined || own === undefined || beside === undefined) throw new Error('three entries');
    for (const entry of [above, beside]) await subject.store.put(entry, { replace: false }, signal);
    const get = async () => plain(await subject.store.get('dependency', 'web', ['main/pr-7', 'main'], 'k', signal));
    expect(await get()).toEqual(above);
    await subject.store.put(own, { replace: false }, signal);
    expect(await get()).toEqual(own);
    expect(plain(await subject.store.get('dependency', 'web', ['main'], 'k', signal))).toEqual(above);
    expect(await subject.store.get('dependency', 'web', [], 'k', signal)).toBeUndefined();
  });

  test('forgets what is dropped, and takes it anew', async () => {
    await using subject = await open();
    const entry = entryOf(nameOf('k'));
    await subject.store.put(entry, { replace: false }, signal);
    expect(await subject.store.drop(entry.at, signal)).toBe(true);
    expect(await subject.store.drop(entry.at, signal)).toBe(false);
    expect(await subject.store.get('dependency', 'web', ['main'], 'k', signal)).toBeUndefined();
    const again = entryOf(nameOf('k'), 'another');
    expect((await subject.store.put(again, { replace: false }, signal)).kind).toBe('kept');
    expect(plain(await subject.store.get('dependency', 'web', ['main'], 'k', signal))).toEqual(again);
  });
}

function drops({ open }: EntryStoreSubject): void {
  test('takes away what was read, and nothing that was written in its place since', async () => {
    await using subject = await open();
    const read = entryOf(nameOf('k'), 'read');
    await subject.store.put(read, { replace: false }, signal);
    const healed = { ...read, writtenAt: read.writtenAt + 1 }; // the same value, written anew
    for (const written of [healed, entryOf(nameOf('k'), 'another')]) {
      await subject.store.put(written, { replace: true }, signal);
      expect(await subject.store.dropSeen(read, signal)).toBe(false);
      expect(plain(await subject.store.get('dependency', 'web', ['main'], 'k', signal))).toEqual(plain(written));
    }
    const seen = await subject.store.get('dependency', 'web', ['main'], 'k', signal);
    if (seen === undefined) throw new Error('it was just there');
    expect(await subject.store.dropSeen(seen, signal)).toBe(true);
    expect(await subject.store.get('dependency', 'web', ['main'], 'k', signal)).toBeUndefined();
    expect(await subject.store.dropSeen(seen, signal)).toBe(false);
  });
}

function firstWrites({ open }: EntryStoreSubject): void {
  test('keeps the first write, and says whether the second was the same', async () => {
    await using subject = await open();
    const first = entryOf(nameOf('k'), 'root 1');
    await subject.store.put(first, { replace: false }, signal);
    const same = await subject.store.put(entryOf(nameOf('k'), 'root 1'), { replace: false }, signal);
    const other = await subject.store.put(entryOf(nameOf('k'), 'root 2'), { replace: false }, signal);
    expect([same.kind, plain(same.entry), other.kind, plain(other.entry)]).toEqual(['same', first, 'differs', first]);
    expect(plain(await subject.store.get('dependency', 'web', ['main'], 'k', signal))).toEqual(first);
  });

  test('lets one of many writers at once be the first, and tells the others who', async () => {
    await using subject = await open();
    const puts = await Promise.all(
      Array.from({ length: 8 }, (_, index) => subject.store.put(entryOf(nameOf('k'), `root ${index}`), { replace: false }, signal)),
    );
    const kept = plain(await subject.store.get('dependency', 'web', ['main'], 'k', signal));
    expect(puts.filter(({ kind }) => kind === 'kept')).toHaveLength(1);
    for (const put of puts) expect(plain(put.entry)).toEqual(kept);
  });

  test('replaces what is there where it is told to', async () => {
    await using subject = await open();
    await subject.store.put(entryOf(nameOf('k'), 'root 1'), { replace: false }, signal);
    const second = entryOf(nameOf('k'), 'root 2');
    expect((await subject.store.put(second, { replace: true }, signal)).kind).toBe('kept');
    expect(plain(await subject.store.get('dependency', 'web', ['main'], 'k', signal))).toEqual(second);
    expect(await subject.store.list('web', {}, undefined, 10, signal)).toHaveLength(1);
  });
}

function prefixes({ open }: EntryStoreSubject): void {
  test('finds the newest entry of a prefix, in the nearest scope that has one', async () => {
    await using subject = await open();
    const newest = async (prefix: string, scopes = ['main/pr-7', 'main']) =>
      (await subject.store.newest('dependency', 'web', scopes, prefix, signal))?.at;
    expect(await newest('npm-')).toBeUndefined();
    for (const key of ['npm-1', 'npm-3', 'npm-2', 'npx-9']) await subject.store.put(entryOf(nameOf(key)), { replace: false }, signal);
    expect(await newest('npm-')).toEqual(nameOf('npm-2'));
    expect(await newest('np')).toEqual(nameOf('npx-9'));
    expect(await newest('npm-3')).toEqual(nameOf('npm-3'));
    expect(await newest('npm-4')).toBeUndefined();
    expect(await newest('npm-', [])).toBeUndefined();
    await subject.store.put(entryOf(nameOf('npm-0', 'main/pr-7')), { replace: false }, signal);
    expect(await newest('npm-')).toEqual(nameOf('npm-0', 'main/pr-7'));
    await subject.store.drop(nameOf('npm-0', 'main/pr-7'), signal);
    await subject.store.put(entryOf(nameOf('npm-1'), 'again'), { replace: true }, signal);
    expect(await newest('npm-')).toEqual(nameOf('npm-1'));
  });

  test('looks up by prefix dependency caches only', async () => {
    await using subject = await open();
    for (const kind of ['action', 'layer'] as const) {
      await subject.store.put(entryOf(nameOf('k1', 'main', kind)), { replace: false }, signal);
      await expectFault('BAD_REQUEST', subject.store.newest(kind, 'web', ['main'], 'k', signal));
    }
  });
}

function lists({ open }: EntryStoreSubject): void {
  test('lists entries page by page in one order, by scope, kind and who made them', async () => {
    await using subject = await open();
    const places = [nameOf('b'), nameOf('a'), nameOf('ä'), nameOf('x', 'main', 'action'), nameOf('a', 'dev'), nameOf('l', 'main', 'layer')];
    for (const [index, at] of places.entries()) {
      const provenance = { build: `b${index % 2}`, agent: index === 2 ? 'edge' : 'a', caller: index === 3 ? 'ci' : '' };
      await subject.store.put(entryOf(at, 'v', provenance), { replace: false }, signal);
    }
    await subject.store.put(entryOf(nameOf('a', 'main', 'dependency', 'api')), { replace: false }, signal);
    const all: EntryKey[] = [];
    for (let after: EntryKey | undefined; ; after = all.at(-1)) {
      const page = await subject.store.list('web', {}, after, 4, signal);
      all.push(...page.map(({ at }) => at));
      if (page.length < 4) break;
    }
    expect(all).toEqual([
      nameOf('a', 'dev'),
      nameOf('x', 'main', 'action'),
      nameOf('a'),
      nameOf('b'),
      nameOf('ä'),
      nameOf('l', 'main', 'layer'),
    ]);
    const keys = async (filter: Parameters<EntryStore['list']>[1]) =>
      (await subject.store.list('web', filter, undefined, 100, signal)).map(({ at }) => at.key);
    expect(await keys({ scope: 'dev' })).toEqual(['a']);
    expect(await keys({ kind: 'dependency', scope: 'main' })).toEqual(['a', 'b', 'ä']);
    expect(await keys({ producer: 'b1' })).toEqual(['x', 'a', 'l']);
    expect(await keys({ producer: 'edge' })).toEqual(['ä']);
    expect(await keys({ producer: 'ci' })).toEqual(['x']);
    expect(await keys({ producer: 'nobody' })).toEqual([]);
  });

  test('counts entries by owner', async () => {
    await using subject = await open();
    for (const at of [nameOf('a'), nameOf('b'), nameOf('a', 'main/pr-7')]) await subject.store.put(entryOf(at), { replace: false }, signal);
    const usage = await subject.store.usage(signal);
    expect(usage.map(({ owner, entryCount }) => `${owner.project} ${owner.scope} ${entryCount}`).toSorted()).toEqual([
      'web main 2',
      'web main/pr-7 1',
    ]);
  });
}

function refusals({ open }: EntryStoreSubject): void {
  test('refuses names and values that cannot be, naming the field', async () => {
    await using subject = await open();
    for (const [at, field] of [
      [nameOf(''), 'key'],
      [nameOf('a\nb'), 'key'],
      [nameOf('k'.repeat(513)), 'key'],
      [nameOf('k', '../main'), 'scope'],
      [nameOf('k', 'main', 'dependency', 'a/b'), 'project'],
    ] as const) {
      await expect(subject.store.put(entryOf(at), { replace: false }, signal)).rejects.toMatchObject({ code: 'BAD_REQUEST', field });
    }
    const large = { ...entryOf(nameOf('k')), value: Buffer.alloc(16 * 1024 * 1024 + 1) };
    await expectFault('TOO_LARGE', subject.store.put(large, { replace: false }, signal));
    expect(await subject.store.list('web', {}, undefined, 10, signal)).toEqual([]);
  });

  test('does nothing under an aborted signal', async () => {
    await using subject = await open();
    const aborted = AbortSignal.abort(new Error('given up'));
    await expect(subject.store.put(entryOf(nameOf('k')), { replace: false }, aborted)).rejects.toThrow();
    await expect(subject.store.get('dependency', 'web', ['main'], 'k', aborted)).rejects.toThrow();
    await expect(subject.store.newest('dependency', 'web', ['main'], 'k', aborted)).rejects.toThrow();
    await expect(subject.store.drop(nameOf('k'), aborted)).rejects.toThrow();
    expect(await subject.store.get('dependency', 'web', ['main'], 'k', signal)).toBeUndefined();
  });
}

function damages({ open }: EntryStoreSubject): void {
  const same = (record: Uint8Array) => record;
  const flip = (at: (record: Uint8Array) => number) => (record: Uint8Array) => {
    const changed = Buffer.from(record);
    const place = at(record);
    changed[place] = (changed[place] ?? 0) ^ 1;
    return changed;
  };

  test.for([
    ['cut short', (record: Uint8Array) => record.subarray(0, record.byteLength - 1)],
    ['lengthened', (record: Uint8Array) => Buffer.concat([record, Buffer.from([0x40, 1])])],
    ['empty', () => new Uint8Array(0)],
    ['changed in its value', flip((record) => record.byteLength - 20)],
    ['changed in its signature', flip(() => 40)],
    ['another file altogether', () => Buffer.from('{"result": "mine"}')],
  ] as const)('removes a record that is %s: it is not there, and can be written again', async ([, change]) => {
    await using subject = await open();
    const entry = entryOf(nameOf('npm-1'));
    await subject.store.put(entry, { replace: false }, signal);
    await subject.damage?.(entry.at, entry.at, change);
    expect(await subject.store.newest('dependency', 'web', ['main'], 'npm-', signal)).toBeUndefined();
    expect(await subject.store.get('dependency', 'web', ['main'], 'npm-1', signal)).toBeUndefined();
    expect(await subject.holds?.(entry.at)).toBe(false);
    const again = entryOf(nameOf('npm-1'), 'again');
    expect((await subject.store.put(again, { replace: false }, signal)).kind).toBe('kept');
    expect(plain(await subject.store.get('dependency', 'web', ['main'], 'npm-1', signal))).toEqual(again);
  });

  test('takes no record in another’s place, however well it is signed', async () => {
    await using subject = await open();
    const mine = entryOf(nameOf('k', 'main/pr-7'), 'poison');
    await subject.store.put(mine, { replace: false }, signal);
    for (const at of [nameOf('k'), nameOf('j', 'main/pr-7'), nameOf('k', 'main/pr-7', 'layer')]) {
      const victim = entryOf(at, 'good');
      await subject.store.put(victim, { replace: false }, signal);
      await subject.damage?.(mine.at, at, same);
      expect(await subject.store.get(at.kind, 'web', [at.owner.scope], at.key, signal)).toBeUndefined();
    }
    expect(plain(await subject.store.get('dependency', 'web', ['main/pr-7'], 'k', signal))).toEqual(mine);
  });

  test('leaves alone what a newer version or another key wrote, as if it were not there', async () => {
    await using subject = await open();
    for (const [key, change] of [
      ['newer', flip(() => 3)],
      ['other-key', flip(() => 5)],
    ] as const) {
      const at = nameOf(key);
      await subject.store.put(entryOf(at), { replace: false }, signal);
      await subject.damage?.(at, at, key === 'newer' ? (record) => Buffer.from(record).fill(9, 3, 4) : change);
      expect(await subject.store.get('dependency', 'web', ['main'], key, signal)).toBeUndefined();
      expect(await subject.holds?.(at)).toBe(true);
      const again = entryOf(at, 'again');
      expect((await subject.store.put(again, { replace: false }, signal)).kind).toBe('kept');
      expect(plain(await subject.store.get('dependency', 'web', ['main'], key, signal))).toEqual(again);
    }
  });

  test('finds by prefix what comes before an entry that only others can read', async () => {
    await using subject = await open();
    for (const key of ['npm-1', 'npm-2', 'npm-3', 'npm-4']) await subject.store.put(entryOf(nameOf(key)), { replace: false }, signal);
    for (const key of ['npm-3', 'npm-4'])
      await subject.damage?.(
        nameOf(key),
        nameOf(key),
        flip(() => 5),
      );
    const newest = async () => (await subject.store.newest('dependency', 'web', ['main/pr-7', 'main'], 'npm-', signal))?.at.key;
    expect(await newest()).toBe('npm-2');
    await subject.damage?.(
      nameOf('npm-2'),
      nameOf('npm-2'),
      flip((record) => record.byteLength - 20),
    );
    expect(await newest()).toBe('npm-1');
    expect(await subject.holds?.(nameOf('npm-4'))).toBe(true);
  });
}
