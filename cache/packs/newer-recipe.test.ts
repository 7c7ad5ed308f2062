import { hash, randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { expectFault, readAll } from '../../test/contract/blob-store.ts';
import { viewIn } from '../../test/contract/store-of.ts';
import { openPackRig, placeOf, type PackRig } from '../../test/fixtures/pack-rig.ts';
import { digestOf, type Digest } from '../digest.ts';
import { packKey } from './names.ts';

const { signal } = new AbortController();
const OWNER = { project: 'web', scope: 'main' };
const VERSION_AT = 4;
const CHECKSUM_BYTES = 32;

/** Gives the recipe of the blob the number of a version that nobody knows yet, as a data plane of that version would have stored it. */
async function makeNewer(rig: PackRig, digest: Digest): Promise<void> {
  const { kind, frame, offset, length } = await placeOf(rig.index, OWNER, digest);
  const pack = rig.objects.contents().get(packKey(frame.pack));
  if (kind !== 'recipe' || frame.encoding !== 'raw' || pack === undefined) throw new Error('The recipe should lie there as it is');
  const recipe = pack.subarray(frame.offset + offset, frame.offset + offset + length);
  recipe[VERSION_AT] = 200;
  const sum = hash('sha256', recipe.subarray(0, length - CHECKSUM_BYTES), 'hex');
  recipe.set(Buffer.from(sum, 'hex'), length - CHECKSUM_BYTES);
}

test('a large blob whose recipe a newer version wrote is as if it were not there, takes no others along, and can be stored again', async () => {
  await using rig = await openPackRig({ settings: { cacheBytes: 0 } });
  const store = rig.packs.storeOf(viewIn('web', 'main'));
  const [large, small] = [randomBytes(5_000_000), randomBytes(500)];
  for (const bytes of [large, small]) await store.put(digestOf(bytes), bytes, signal);
  await makeNewer(rig, digestOf(large));
  await expectFault('PROTOCOL_UNSUPPORTED', readAll(store, digestOf(large)));
  const { epoch } = await rig.index.epoch(signal);
  const plan = await rig.packs.plan(viewIn('web', 'main'), [digestOf(large)], { id: 'h', ttlMs: 60_000, epoch }, signal);
  expect(plan.missing).toEqual([digestOf(large)]);
  expect(await store.findMissing([large, small].map(digestOf), signal)).toEqual([digestOf(large)]);
  await store.put(digestOf(large), large, signal);
  for (const bytes of [large, small]) expect((await readAll(store, digestOf(bytes))).equals(bytes)).toBe(true);
});
