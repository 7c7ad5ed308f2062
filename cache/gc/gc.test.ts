import { beforeEach, describe, expect, test } from 'vitest';
import { memoryLogger, silentLogger } from '../../base/log.ts';
import { prngFrom } from '../../base/prng.ts';
import { blob, handClock, holdOf, keyOf, newEntry, newPack, packName, type HandClock } from '../../test/fixtures/store-index.ts';
import { until } from '../../test/fixtures/until.ts';
import { memoryObjects, type MemoryObjects } from '../objects/memory.ts';
import { packKey } from '../packs/names.ts';
import type { MemoryIndex } from '../store-index/memory-index.ts';
import { memoryStoreIndex } from '../store-index/memory.ts';
import type { PackName } from '../store-index/store-index.ts';
import { Collector } from './collector.ts';
import { putCondemnRecord } from './condemn-records.ts';
import { dryRun, type Planned } from './dry-run.ts';
import { Round, startGc } from './gc.ts';
import { markReferences } from './mark.ts';
import { openEpoch } from './open-epoch.ts';
import { scrub } from './scrub.ts';
import { GC_SETTINGS } from './settings.ts';

const signal = new AbortController().signal;
const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const [a, b] = [packName(1), packName(2)];

let clock: HandClock;
let elapsedMs: number;
let objects: MemoryObjects;
let index: MemoryIndex;

const env = () => ({ log: silentLogger, clock: { now: () => clock.now(), monotonic: () => elapsedMs } });
const options = () => ({ objects, index, settings: GC_SETTINGS, env: env() });
const pass = (ms: number) => {
  clock.pass(ms);
  elapsedMs += ms;
};
const ready = async () => {
  await openEpoch({ objects, index, env: env(), graceMs: GC_SETTINGS.graceMs }, signal);
  const { epoch } = await index.epoch(signal);
  await index.complete(epoch, signal);
  return epoch;
};
const putPack = (name: PackName) => objects.put(packKey(name), Buffer.from(name), { ifAbsent: true }, signal);
const add = async (name: PackName, n: number, hold?: ReturnType<typeof holdOf>) => {
  await putPack(name);
  await index.addPack(newPack(name, [blob(n)], { begunAt: clock.now() }), hold, signal);
};
const keys = (prefix: string) => [...objects.contents().keys()].filter((key) => key.startsWith(prefix));
/** Passes of one collector until what is garbage now is gone. */
const collect = async (collector = new Collector(options())) => {
  await collector.pass(signal);
  pass(GC_SETTINGS.graceMs);
  await collector.pass(signal);
};

beforeEach(() => {
  clock = handClock();
  elapsedMs = 0;
  objects = memoryObjects({ clock: { now: () => clock.now(), monotonic: () => elapsedMs } });
  index = memoryStoreIndex({ clock, ready: false });
});

describe('failure modes', () => {
  test('1: a saver that is killed between putting a pack and committing leaves nothing visible, and its pack is collected', async () => {
    const epoch = await ready();
    await putPack(a);
    expect((await index.locate('apple', ['main'], [blob(1)], undefined, signal)).size).toBe(0);
    const collector = new Collector(options());
    await scrub(collector, epoch, signal);
    expect(await index.packs({}, undefined, 10, signal)).toEqual([]);
    pass(GC_SETTINGS.orphanMs);
    await scrub(collector, epoch, signal);
    await expect(index.addPack(newPack(a, [blob(1)], { begunAt: clock.now() }), undefined, signal)).rejects.toMatchObject({
      code: 'PACK_GONE',
    });
    await collect(collector);
    expect(keys('p/')).toEqual([]);
  });

  test.for(['condemned', 'recorded', 'object deleted', 'deleted'])(
    '2: a collector that is killed once a pack is %s is followed by another',
    async (stage) => {
      const epoch = await ready();
      await add(a, 1);
      pass(2 * DAY);
      expect(await index.condemn(a, epoch, clock.now(), signal)).toBe(true);
      if (stage !== 'condemned') {
        await putCondemnRecord(objects, a, epoch, signal);
        await index.condemnRecorded(a, epoch, signal);
      }
      if (stage === 'object deleted' || stage === 'deleted') await objects.delete(packKey(a), signal);
      if (stage === 'deleted') await index.deleted(a, signal);
      await collect();
      expect(keys('p/')).toEqual([]);
      expect((await index.packs({}, undefined, 10, signal)).map(({ state }) => state)).toEqual(['deleted']);
      pass(GC_SETTINGS.rememberMs);
      await collect();
      expect(await index.packs({}, undefined, 10, signal)).toEqual([]);
      expect(keys('c/')).toEqual([]);
    },
  );

  test('3: a saver that reuses a pack while it is condemned either keeps it or is told that it is gone', async () => {
    const epoch = await ready();
    for (const savesFirst of [true, false]) {
      const name = savesFirst ? a : b;
      await add(name, savesFirst ? 1 : 2);
      pass(2 * DAY);
      const hold = holdOf(`h-${name}`, epoch, HOUR);
      await index.locate('apple', ['main'], [], hold, signal);
      const steps = [
        () => index.prepare(newEntry(keyOf(name), [name]), hold, signal),
        () => index.condemn(name, epoch, clock.now(), signal),
      ];
      const answers: unknown[] = [];
      for (const step of savesFirst ? steps : steps.toReversed()) answers.push(await step());
      expect(answers).toEqual(savesFirst ? [{ kind: 'prepared' }, false] : [true, { kind: 'packs-gone', packs: [name] }]);
    }
  });

  test('4: a restore that outlasts its hold learns of it before its packs are deleted', async () => {
    const epoch = await ready();
    await add(a, 1);
    pass(2 * DAY);
    const hold = holdOf('restore', epoch, 20 * 60_000);
    await index.locate('apple', ['main'], [blob(1)], hold, signal);
    const collector = new Collector(options());
    pass(2 * DAY);
    await expect(index.extend(hold, signal)).rejects.toMatchObject({ code: 'HOLD_LOST' });
    await collector.pass(signal);
    expect(keys('p/')).toHaveLength(1);
    pass(GC_SETTINGS.graceMs - 1);
    await collector.pass(signal);
    expect(keys('p/')).toHaveLength(1);
    pass(1);
    await collector.pass(signal);
    expect(keys('p/')).toEqual([]);
  });

  test('5: an index that has forgotten that it condemned a pack is told by the store before anybody can use it', async () => {
    await ready();
    await add(a, 1);
    const before = index.snapshot();
    pass(2 * DAY);
    const stale = new Collector(options());
    await stale.pass(signal);
    expect(keys('c/')).toHaveLength(1);
    for (const past of [before, undefined]) {
      index = index.fork(past);
      await expect(index.locate('apple', ['main'], [blob(1)], undefined, signal)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
      await ready();
      expect((await index.locate('apple', ['main'], [blob(1)], undefined, signal)).size).toBe(0);
      expect(await index.packs({}, undefined, 10, signal)).toMatchObject([{ name: a, state: 'condemned' }]);
    }
    pass(GC_SETTINGS.graceMs);
    await stale.pass(signal); // it is connected to the index of before, which says that the time is over
    expect(keys('p/')).toHaveLength(1);
  });

  test('5: an index that has forgotten that a pack was deleted does not offer it', async () => {
    const epoch = await ready();
    await add(a, 1);
    await index.restoreEntry(newEntry(keyOf('k'), [a]), epoch, signal);
    const before = index.snapshot();
    await index.dropEntry({ ...keyOf('k'), object: newEntry(keyOf('k'), [a]).object }, signal);
    pass(2 * DAY);
    await collect();
    pass(GC_SETTINGS.rememberMs);
    await collect();
    expect([...keys('p/'), ...keys('c/')]).toEqual([]);
    index = index.fork(before);
    await ready();
    expect((await index.locate('apple', ['main'], [blob(1)], undefined, signal)).size).toBe(0);
    expect(await index.entries({}, undefined, 10, signal)).toEqual([]);
  });

  test('13: a clock that jumps by an hour shortens no grace time', async () => {
    await ready();
    await add(a, 1);
    pass(2 * DAY);
    const collector = new Collector(options());
    await collector.pass(signal);
    clock.pass(5 * HOUR); // the index's clock alone
    await collector.pass(signal);
    expect(keys('p/')).toHaveLength(1);
    pass(GC_SETTINGS.graceMs);
    clock.pass(-5 * HOUR - GC_SETTINGS.graceMs);
    await collector.pass(signal);
    expect(keys('p/')).toHaveLength(1);
    pass(GC_SETTINGS.graceMs);
    await collector.pass(signal);
    expect(keys('p/')).toEqual([]);
  });
});

test('who stops collecting gives the task to the next at once, and who never had it takes it from nobody', async () => {
  await ready();
  const roundOf = () => new Round({ ...options(), prng: prngFrom(1) });
  const [first, second] = [roundOf(), roundOf()];
  await first.run(signal);
  await second.run(signal);
  await second.giveBack();
  const third = roundOf();
  await third.run(signal);
  expect([first, second, third].map((round) => round.state().counts.passes)).toEqual([1, 0, 0]);
  await first.giveBack();
  await third.run(signal);
  expect(third.state().counts.passes).toBe(1);
});

test('what a collector that was killed in the middle of its turn was at, another takes up a minute later', async () => {
  await ready();
  const asked = Promise.withResolvers<void>();
  const silent: MemoryObjects = {
    ...objects,
    async *list(...call) {
      asked.resolve();
      await new Promise(() => {});
      yield* objects.list(...call);
    },
  };
  void new Round({ ...options(), objects: silent, prng: prngFrom(1) }).run(signal);
  await asked.promise;
  const next = new Round({ ...options(), prng: prngFrom(1) });
  pass(59_000);
  await next.run(signal);
  expect(next.state().counts.passes).toBe(0);
  pass(1_000);
  await next.run(signal);
  expect(next.state().counts.passes).toBe(1);
});

test('one that was killed between two turns is followed when its next one would have been', async () => {
  await ready();
  await new Round({ ...options(), prng: prngFrom(1), everyMs: 5 * 60_000 }).run(signal);
  const next = new Round({ ...options(), prng: prngFrom(1) });
  pass(5 * 60_000 - 1);
  await next.run(signal);
  expect(next.state().counts.passes).toBe(0);
  pass(1);
  await next.run(signal);
  expect(next.state().counts.passes).toBe(1);
});

test('a collection that is disposed of gives its task back', async () => {
  await ready();
  const gc = startGc({ ...options(), prng: prngFrom(1), everyMs: 1 });
  await until('a pass ended', () => gc.state().counts.passes > 0);
  await gc[Symbol.asyncDispose]();
  expect(await index.claim('gc', 'another', 1_000, signal)).toBe(true);
});

test('wrong counts of references are found, and those of commits under way are not', async () => {
  const epoch = await ready();
  await add(a, 1, holdOf('h', epoch));
  await index.prepare(newEntry(keyOf('k'), [a]), holdOf('h', epoch), signal);
  expect(await markReferences(index, signal)).toEqual([]);
  // An index that lost the entry, and not its reference.
  const lossy = new Proxy(index, {
    get(of, name) {
      if (name === 'entries') return async () => [];
      if (name === 'packs') return (...args: Parameters<typeof index.packs>) => of.packs(...args);
      return Reflect.get(of, name);
    },
  });
  expect(await markReferences(lossy, signal)).toEqual([{ pack: a, refCount: 1, counted: 0, isLive: true }]);
});

test('nothing is collected while counts of references are wrong, which is logged as an error; once they are right, garbage goes', async () => {
  const epoch = await ready();
  await add(a, 1, holdOf('h', epoch));
  await index.prepare(newEntry(keyOf('k'), [a]), holdOf('h', epoch), signal);
  await index.publish({ ...keyOf('k'), object: newEntry(keyOf('k'), [a]).object }, signal);
  await add(b, 2);
  pass(2 * DAY);
  let isWrong = true;
  // An index that says of its entries less than it counts.
  const lossy = new Proxy(index, {
    get(of, name) {
      if (name === 'entries' && isWrong) return async () => [];
      const method: unknown = Reflect.get(of, name);
      return typeof method === 'function' ? method.bind(of) : method;
    },
  });
  const log = memoryLogger();
  const round = new Round({ ...options(), index: lossy, env: { ...env(), log }, prng: prngFrom(1) });
  const before = keys('');
  for (let turn = 0; turn < 3; turn += 1) {
    await round.run(signal);
    pass(HOUR);
  }
  expect(round.state()).toMatchObject({ mismatches: 1, passedAt: undefined, markedAt: undefined, counts: { passes: 0 } });
  expect(keys('')).toEqual(before);
  expect((await index.packs({}, undefined, 10, signal)).map(({ name }) => name).toSorted()).toEqual([a, b]);
  expect(log.entries.filter(({ level }) => level === 'error').map(({ event }) => event)).toEqual(Array(3).fill('gc-references-wrong'));

  isWrong = false;
  await round.run(signal);
  pass(GC_SETTINGS.graceMs);
  await round.run(signal);
  expect(round.state()).toMatchObject({ mismatches: 0, lastError: undefined });
  expect(keys('p/')).toEqual([packKey(a)]);
});

test('an entry goes when nobody has used it for its time, counted from its last use, with its object first and then its packs', async () => {
  const epoch = await ready();
  const names = ['used', 'unused'] as const;
  for (const [at, name] of names.entries()) {
    const pack = at === 0 ? a : b;
    await add(pack, at + 1, holdOf('h', epoch));
    const entry = newEntry(keyOf(name), [pack]);
    await index.prepare(entry, holdOf('h', epoch), signal);
    await objects.put(entry.object, Buffer.from(name), { ifAbsent: true }, signal);
    await index.publish({ ...keyOf(name), object: entry.object }, signal);
  }
  const left = async () => (await index.entries({}, undefined, 10, signal)).map(({ at }) => at.key);
  const use = async (name: string) => index.entry(keyOf(name).kind, keyOf(name).owner.project, [keyOf(name).owner.scope], name, signal);
  const collector = new Collector(options());
  pass(20 * DAY);
  expect((await use('used'))?.at.key).toBe('used');
  await collector.pass(signal);
  expect((await left()).toSorted()).toEqual(['unused', 'used']);
  pass(11 * DAY);
  await collector.pass(signal);
  expect(await left()).toEqual(['used']);
  expect(objects.contents().has(newEntry(keyOf('unused'), [b]).object)).toBe(false);
  await collect(collector);
  expect(keys('p/')).toEqual([packKey(a)]);
  pass(20 * DAY);
  await collect(collector);
  expect([await left(), keys('p/'), objects.contents().has(newEntry(keyOf('used'), [a]).object)]).toEqual([[], [], false]);
});

test('a dry run says what would go and why, and nothing goes', async () => {
  await ready();
  await add(a, 1);
  await objects.put('e/apple/main/action/x/1', Buffer.from('left over'), { ifAbsent: true }, signal);
  await putPack(b);
  pass(2 * DAY);
  const before = keys('');
  const planned: Planned[] = [];
  const report = await dryRun(options(), (one) => planned.push(one), signal);
  expect(report).toEqual({ stopped: undefined, kept: { referenced: 0, held: 0, recent: 0 }, mismatches: [] });
  expect(planned.map(({ kind }) => kind)).toEqual(['pack', 'orphan-pack', 'orphan-object']);
  expect(planned[0]).toMatchObject({ why: 'unused', pack: { name: a } });
  expect(keys('')).toEqual(before);
  expect(await index.packs({ state: 'live' }, undefined, 10, signal)).toHaveLength(1);
});
