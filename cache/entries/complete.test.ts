import { expect, test } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import { silentLogger } from '../../base/log.ts';
import { entryOf, nameOf, plain } from '../../test/contract/entry-store.ts';
import { encodeStepResult } from '../action/action-result.ts';
import { NO_USAGE } from '../action/result.ts';
import type { BlobStore } from '../blob-store.ts';
import { digestOf } from '../digest.ts';
import { memoryStore } from '../memory.ts';
import { withCompleteEntries } from './complete.ts';
import { Departures } from './departures.ts';
import { memoryEntryStore } from './memory.ts';
import { Needs } from './needs.ts';

const { signal } = new AbortController();

/** An entry that needs one blob of that text. */
function entryNeeding(key: string, text: string) {
  const outputs = [{ kind: 'file', path: 'out', digest: digestOf(Buffer.from(text)), executable: false }] as const;
  const value = encodeStepResult({ exitCode: 0, outputs, log: undefined, usage: NO_USAGE, agent: 'a', startedAt: 1, endedAt: 2 });
  return { ...entryOf(nameOf(key)), value: Buffer.from(value) };
}

/** Entries over blobs; `onLook` comes before each look for blobs. */
function openRig(onLook: () => Promise<unknown> = async () => undefined) {
  const [raw, blobs, departures] = [memoryEntryStore(), memoryStore(), new Departures(systemClock)];
  const looked: BlobStore = {
    ...blobs,
    async findMissing(digests, at) {
      await onLook();
      return blobs.findMissing(digests, at);
    },
  };
  const store = withCompleteEntries(raw, new Needs(() => looked), departures, silentLogger);
  return { raw, blobs, departures, store, newest: () => store.newest('dependency', 'web', ['main'], 'npm-', signal) };
}

test('what is not complete is taken away when it is found by prefix, and the one before it is found', async () => {
  const rig = openRig();
  await rig.blobs.put(digestOf(Buffer.from('there')), Buffer.from('there'), signal);
  const [older, newer] = [entryNeeding('npm-1', 'there'), entryNeeding('npm-2', 'gone')];
  for (const entry of [older, newer]) await rig.raw.put(entry, { replace: false }, signal);
  expect(plain(await rig.newest())).toEqual(older);
  expect(rig.departures.of(newer.at)?.cause).toBe('incomplete');
  expect(await rig.raw.list('web', {}, undefined, 9, signal)).toHaveLength(1);
});

test('what heals an entry while its blobs are looked for is found, and not taken away in its place', async () => {
  const healed = entryNeeding('npm-1', 'there');
  let looks = 0;
  const rig = openRig(async () => {
    looks += 1;
    if (looks === 1) await rig.raw.put(healed, { replace: true }, signal);
  });
  await rig.blobs.put(digestOf(Buffer.from('there')), Buffer.from('there'), signal);
  await rig.raw.put({ ...entryNeeding('npm-1', 'gone'), writtenAt: healed.writtenAt - 1 }, { replace: false }, signal);
  expect(plain(await rig.newest())).toEqual(healed);
  expect(looks).toBe(2);
  expect(rig.departures.of(healed.at)).toBeUndefined();
});
