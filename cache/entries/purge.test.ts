import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { expectFault } from '../../test/contract/blob-store.ts';
import { entryOf, nameOf } from '../../test/contract/entry-store.ts';
import type { Consumed, Entry, EntryStore } from './entry-store.ts';
import { memoryEntryStore } from './memory.ts';
import { planPurge, purge, type PurgeCriteria } from './purge.ts';

const { signal } = new AbortController();

async function storeWith(entries: readonly Entry[]): Promise<EntryStore> {
  const store = memoryEntryStore();
  for (const entry of entries) await store.put(entry, { replace: true }, signal);
  return store;
}

const madeBy = (key: string, build: string, agent: string, from: readonly Consumed[] = []) =>
  entryOf(nameOf(key, 'main', 'action'), key, { build, agent, caller: `of ${build}`, consumed: from });
const use = (entry: Entry): Consumed => ({
  kind: entry.at.kind,
  scope: entry.at.owner.scope,
  key: entry.at.key,
  build: entry.provenance.build,
  agent: entry.provenance.agent,
});
const keysLeft = async (store: EntryStore) => (await store.list('web', {}, undefined, 1_000, signal)).map(({ at }) => at.key);
const run = (store: EntryStore, criteria: PurgeCriteria) => purge(store, 'web', criteria, () => {}, signal);

describe('a purge', () => {
  test('takes what an agent made, all that was made from it, and what was made from that; a dry run takes nothing', async () => {
    const bad = madeBy('bad', 'b1', 'evil');
    const child = madeBy('child', 'b2', 'good', [use(bad)]);
    const grandchild = madeBy('grandchild', 'b3', 'good', [use(child)]);
    const store = await storeWith([bad, child, grandchild, madeBy('innocent', 'b3', 'good')]);
    const plan = await planPurge(store, 'web', { agent: 'evil' }, signal);
    expect(plan.purged.map(({ at, consumed }) => [at.key, consumed?.key])).toEqual([
      ['bad', undefined],
      ['child', 'bad'],
      ['grandchild', 'child'],
    ]);
    expect([plan.examinedCount, await keysLeft(store)]).toEqual([4, ['bad', 'child', 'grandchild', 'innocent']]);
    const seen: string[] = [];
    const report = await purge(store, 'web', { agent: 'evil' }, ({ key }) => seen.push(key), signal);
    expect([report.purged.length, seen, await keysLeft(store)]).toEqual([3, ['bad', 'child', 'grandchild'], ['innocent']]);
    expect((await run(store, { agent: 'evil' })).purged).toEqual([]);
  });

  test('finds in scopes below what was made from a result that they found in the scope above', async () => {
    const bad = madeBy('lib', 'b1', 'evil');
    const found: Consumed = { ...use(bad), scope: 'main/pr-7', build: '' }; // as the coordinator knows it: looked up from there on
    const below = entryOf(nameOf('app', 'main/pr-7', 'action'), 'app', { build: 'b2', agent: 'good', caller: 'c', consumed: [found] });
    const aside = { ...found, scope: 'mainly' };
    const other = entryOf(nameOf('app', 'mainly', 'action'), 'app', { build: 'b3', agent: 'good', caller: 'c', consumed: [aside] });
    for (const criteria of [{ build: 'b1' }, { agent: 'evil', scope: 'main' }, { key: 'lib' }]) {
      const { purged } = await planPurge(await storeWith([bad, below, other]), 'web', criteria, signal);
      expect(purged.map(({ at }) => `${at.owner.scope} ${at.key}`)).toEqual(['main lib', 'main/pr-7 app']);
    }
    const { purged } = await planPurge(await storeWith([below, other]), 'web', { agent: 'evil', scope: 'main' }, signal);
    expect(purged.map(({ at }) => at.owner.scope)).toEqual(['main/pr-7']);
  });

  test('looks through as many results of one step as a project may have without standing still', async () => {
    const checkout = use(madeBy('checkout', 'b0', 'good'));
    const one = madeBy('k', 'b', 'good', [checkout]);
    const rows = Array.from({ length: 60_000 }, (_, index) => ({
      ...one,
      at: { ...one.at, key: `k${index}` },
      provenance: { ...one.provenance, build: `b${index}` },
    }));
    let listed = 0;
    const list: EntryStore['list'] = async (_project, _filter, _after, limit) => rows.slice(listed, (listed += limit));
    const plan = await planPurge({ ...memoryEntryStore(), list }, 'web', { build: 'b7' }, signal);
    expect([plan.examinedCount, plan.purged.map(({ at }) => at.key)]).toEqual([60_000, ['k7']]);
  });

  test('finds what was made from a bad entry that has been replaced or has gone since', async () => {
    const bad = madeBy('lib', 'b1', 'evil');
    const child = madeBy('child', 'b2', 'good', [use(bad)]);
    const store = await storeWith([bad, child, madeBy('lib', 'b3', 'good')]);
    expect((await run(store, { agent: 'evil' })).purged.map(({ at, consumed }) => [at.key, consumed?.key])).toEqual([['child', 'lib']]);
    expect(await keysLeft(store)).toEqual(['lib']);
  });

  test('leaves what was made from a good entry of the same name before the bad one took its place', async () => {
    const good = madeBy('lib', 'b1', 'good');
    const child = madeBy('child', 'b2', 'good', [use(good)]);
    const store = await storeWith([good, child, madeBy('lib', 'b3', 'evil')]);
    await run(store, { agent: 'evil' });
    expect(await keysLeft(store)).toEqual(['child']);
  });

  test('follows a name alone where it is not known who made what was used', async () => {
    const bad = madeBy('lib', 'b1', 'evil');
    const store = await storeWith([bad, madeBy('child', 'b2', 'good', [{ ...use(bad), build: '', agent: '' }])]);
    await run(store, { agent: 'evil' });
    expect(await keysLeft(store)).toEqual([]);
  });

  test('goes by build, caller, scope, kind, key and time, all of those given', async () => {
    const entries = [
      madeBy('a', 'b1', 'x'),
      madeBy('b', 'b1', 'y'),
      madeBy('c', 'b2', 'x'),
      entryOf(nameOf('d', 'dev'), 'd', { build: 'b1' }),
    ];
    const times = entries.map(({ writtenAt }) => writtenAt);
    const table: readonly (readonly [PurgeCriteria, readonly string[]])[] = [
      [{ build: 'b1' }, ['a', 'b', 'd']],
      [{ build: 'b1', agent: 'x' }, ['a']],
      [{ caller: 'of b2' }, ['c']],
      [{ scope: 'dev' }, ['d']],
      [{ kind: 'action' }, ['a', 'b', 'c']],
      [{ key: 'b' }, ['b']],
      [{ writtenFrom: times[1] ?? 0, writtenBefore: times[3] ?? 0 }, ['b', 'c']],
      [{ build: 'nobody' }, []],
    ];
    const store = await storeWith(entries);
    for (const [criteria, expected] of table) {
      const { purged } = await planPurge(store, 'web', criteria, signal);
      expect([criteria, purged.map(({ at }) => at.key).toSorted()]).toEqual([criteria, expected]);
    }
    await expectFault('BAD_REQUEST', run(store, {}));
  });

  test('leaves no entry that is reachable from a bad one, and takes none that is not', async () => {
    const agents = fc.constantFrom('evil', 'good');
    const histories = fc.array(fc.record({ agent: agents, from: fc.array(fc.nat(30), { maxLength: 3 }) }), { minLength: 1, maxLength: 30 });
    await fc.assert(
      fc.asyncProperty(histories, async (history) => {
        const made: { readonly entry: Entry; readonly tainted: boolean }[] = [];
        for (const [index, { agent, from }] of history.entries()) {
          const used = from.flatMap((at) => made[at % Math.max(1, index)] ?? []);
          const entry = madeBy(
            `k${index}`,
            `b${index}`,
            agent,
            used.map((one) => use(one.entry)),
          );
          made.push({ entry, tainted: agent === 'evil' || used.some(({ tainted }) => tainted) });
        }
        const store = await storeWith(made.map(({ entry }) => entry));
        await run(store, { agent: 'evil' });
        const expected = made.filter(({ tainted }) => !tainted).map(({ entry }) => entry.at.key);
        expect((await keysLeft(store)).toSorted()).toEqual(expected.toSorted());
      }),
      { numRuns: 60 },
    );
  });
});
