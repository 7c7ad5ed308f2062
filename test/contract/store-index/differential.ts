import fc from 'fast-check';
import { expect } from 'vitest';
import { isFault } from '../../../base/fault.ts';
import { memoryStoreIndex } from '../../../cache/store-index/memory.ts';
import type { EntryKey, EntryKind, StoreIndex } from '../../../cache/store-index/store-index.ts';
import { blob, BRANCH, handClock, holdOf, MAIN, newEntry, newPack, packName, type HandClock } from '../../fixtures/store-index.ts';
import { makeReady, signal } from './used.ts';

/** A call of a history: of both indexes, each under its own epoch. */
type Step = { readonly about: string; readonly run: (index: StoreIndex, epoch: string) => Promise<unknown> };

const START = 1_700_000_000_000;
const small = (bound: number) => fc.nat({ max: bound - 1 });
const owner = fc.constantFrom(MAIN, BRANCH, { project: 'pear', scope: 'main' });
const scopes = fc.constantFrom(['main'], ['main/pr-7', 'main'], ['main/pr-7'], []);
const kind = fc.constantFrom<EntryKind>('action', 'dependency');
const blobs = fc.array(small(12), { maxLength: 6 }).map((list) => list.map(blob));
const packs = fc.uniqueArray(small(6), { maxLength: 3 }).map((list) => list.map(packName));
const key = fc.constantFrom('k', 'ka', 'kab', 'l', 'ß');
const at = fc.record({ kind, owner, key }) satisfies fc.Arbitrary<EntryKey>;
const maybeHold = fc.option(fc.tuple(small(3), fc.constantFrom(1_000, 60_000, 600_000)), { nil: undefined });

const holdFor = (chosen: readonly [number, number] | undefined, epoch: string) =>
  chosen === undefined ? undefined : holdOf(`hold-${chosen[0]}`, epoch, chosen[1]);

const step = (about: string, run: Step['run']): Step => ({ about, run });

const entry = fc
  .record({ at, packs, version: small(3), replace: fc.boolean() })
  .map((of) => newEntry(of.at, of.packs, of.version, { replace: of.replace }));

const steps: readonly fc.Arbitrary<Step>[] = [
  fc.record({ pack: small(6), blobs, owner, maybeHold }).map((of) => {
    const pack = newPack(packName(of.pack), of.blobs, { owner: of.owner, sizeBytes: 100 + of.pack });
    return step(`addPack ${of.pack}`, (index, epoch) => index.addPack(pack, holdFor(of.maybeHold, epoch), signal));
  }),
  fc
    .record({ project: fc.constantFrom('apple', 'pear'), scopes, blobs, maybeHold })
    .map((of) =>
      step('locate', async (index, epoch) => [
        ...(await index.locate(of.project, of.scopes, of.blobs, holdFor(of.maybeHold, epoch), signal)),
      ]),
    ),
  fc
    .record({ owner, blob: small(12), pack: small(6) })
    .map((of) => step('forget', (index) => index.forget(of.owner, [{ digest: blob(of.blob), pack: packName(of.pack) }], signal))),
  small(3).map((id) => step(`extend ${id}`, (index, epoch) => index.extend(holdOf(`hold-${id}`, epoch, 60_000), signal))),
  small(3).map((id) => step(`release ${id}`, (index) => index.release({ id: `hold-${id}` }, signal))),
  fc
    .tuple(entry, small(3))
    .map(([of, id]) => step(`prepare ${of.object}`, (index, epoch) => index.prepare(of, holdOf(`hold-${id}`, epoch), signal))),
  entry.map((of) => step(`publish ${of.object}`, (index) => index.publish({ ...of.at, object: of.object }, signal))),
  entry.map((of) => step(`dropEntry ${of.object}`, (index) => index.dropEntry({ ...of.at, object: of.object }, signal))),
  entry.map((of) => step(`restoreEntry ${of.object}`, (index, epoch) => index.restoreEntry(of, epoch, signal))),
  fc.record({ kind, scopes, key }).map((of) => step('entry', (index) => index.entry(of.kind, 'apple', of.scopes, of.key, signal))),
  fc
    .record({ kind, scopes, key })
    .map((of) => step('newestEntry', (index) => index.newestEntry(of.kind, 'apple', of.scopes, of.key.slice(0, 1), signal))),
  fc
    .tuple(small(6), fc.constantFrom(0, 120_000, 3_600_000))
    .map(([pack, ageMs]) =>
      step(`condemn ${pack}`, async (index, epoch) => index.condemn(packName(pack), epoch, (await index.now(signal)) - ageMs, signal)),
    ),
  small(6).map((pack) => step(`condemnRecorded ${pack}`, (index, epoch) => index.condemnRecorded(packName(pack), epoch, signal))),
  small(6).map((pack) => step(`mayDelete ${pack}`, (index, epoch) => index.mayDelete(packName(pack), epoch, 60_000, signal))),
  small(6).map((pack) => step(`deleted ${pack}`, (index) => index.deleted(packName(pack), signal))),
  small(6).map((pack) => step(`dropPack ${pack}`, (index) => index.dropPack(packName(pack), signal))),
  fc.constant(step('sweep', (index) => index.sweep(signal))),
  fc.tuple(small(2), small(2)).map(([task, who]) => step('claim', (index) => index.claim(`task-${task}`, `w${who}`, 60_000, signal))),
];

type Move = Step | { readonly about: 'pass'; readonly ms: number };

const pass = fc.constantFrom(1, 59_999, 60_000, 3_600_000, -3_600_000).map((ms): Move => ({ about: 'pass', ms }));
const history = fc.array(fc.oneof({ weight: 1, arbitrary: pass }, ...steps.map((arbitrary) => ({ weight: 1, arbitrary }))), {
  minLength: 20,
  maxLength: 80,
});

/** What a call came to, comparable: bytes as text, a fault as its code. */
async function outcome(run: () => Promise<unknown>): Promise<unknown> {
  try {
    return plain(await run());
  } catch (error) {
    if (isFault(error)) return { fault: error.code };
    throw error;
  }
}

function plain(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value ?? 'nothing', (name, of: unknown) => {
      if (name !== 'record') return of;
      return Buffer.isBuffer(of) || of instanceof Uint8Array ? Buffer.from(of).toString('hex') : Buffer.from(bytesIn(of)).toString('hex');
    }),
  );
}

/** The bytes of a record after `toJSON` of Buffer has had it. */
function bytesIn(of: unknown): readonly number[] {
  return typeof of === 'object' && of !== null && 'data' in of && Array.isArray(of.data) ? of.data.map(Number) : [];
}

async function everything(index: StoreIndex): Promise<unknown> {
  const known = await index.knownObjects(
    (await index.entries({}, undefined, 1_000, signal)).map(({ object }) => object),
    signal,
  );
  return plain({
    packs: await index.packs({}, undefined, 1_000, signal),
    entries: await index.entries({}, undefined, 1_000, signal),
    page: await index.entries({ project: 'apple' }, undefined, 2, signal),
    known: [...known].toSorted(),
    usage: await index.usage(signal),
  });
}

/** In random histories, an implementation says what the one in memory says, call by call, and knows the same in the end. */
export async function sameAsMemory(open: (clock: HandClock) => Promise<StoreIndex>, runs: number, seed: number): Promise<void> {
  await fc.assert(
    fc.asyncProperty(history, async (moves) => {
      const clock = handClock(START);
      await using model = memoryStoreIndex({ clock, ready: false });
      await using real = await open(clock);
      const [modelEpoch, realEpoch] = [await makeReady(model), await makeReady(real)];
      for (const [n, move] of moves.entries()) {
        if ('ms' in move) clock.pass(move.ms);
        else {
          const expected = await outcome(() => move.run(model, modelEpoch));
          expect(await outcome(() => move.run(real, realEpoch)), `step ${n}: ${move.about}`).toEqual(expected);
        }
      }
      expect(await everything(real)).toEqual(await everything(model));
    }),
    { numRuns: runs, seed },
  );
}
