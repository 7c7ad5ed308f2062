import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { digestOf } from '../../cache/digest.ts';
import { directReads } from '../../cache/direct-reads.ts';
import { decodeFrame } from '../../cache/packs/frame.ts';
import { newPackName } from '../../cache/packs/names.ts';
import { digestFromProto } from '../../proto/convert.ts';
import { expectFault } from '../contract/blob-store.ts';
import { openPackRig } from '../fixtures/pack-rig.ts';
import { openWorld, type Actor, type Standing } from './poisoning/world.ts';

const { signal } = new AbortController();
const attempt = (scope: string, standing: Standing = 'live'): Actor => ({ kind: 'attempt', scope, standing });

/** The data plane over packs, whose URLs are the keys of their objects. */
async function openBucketWorld() {
  const ttls: number[] = [];
  const stack = new AsyncDisposableStack();
  const rig = stack.use(await openPackRig({ around: (objects) => ({ ...objects, presignGet: (key, ttlMs) => (ttls.push(ttlMs), key) }) }));
  const plant = (parts: Parameters<NonNullable<NonNullable<Parameters<typeof openWorld>[0]>['plant']>>[0]) => ({
    ...parts,
    storeOf: rig.packs.storeOf,
    direct: directReads(rig.packs, rig.index),
  });
  const world = stack.use(await openWorld({ plant }));
  return { world, rig, ttls, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

test('an attempt reads from the bucket what its scope may see, by URLs that end with its lease', async () => {
  await using at = await openBucketWorld();
  const [above, own, beside, large] = [randomBytes(500), randomBytes(600), randomBytes(700), randomBytes(3 * 2 ** 20)];
  for (const [scope, bytes] of [
    ['main', above],
    ['main/pr-7', own],
    ['main/pr-7', large],
    ['main/pr-8', beside],
  ] as const) {
    await at.world.as(attempt(scope), scope, 'writer').store.put(digestOf(bytes), bytes, signal);
  }
  await at.rig.packs.flush();
  const digests = [above, own, beside, large].map(digestOf);
  const plan = await at.world.plan(attempt('main/pr-7'), 'main/pr-7', 'reader', digests);
  expect(plan.notDirect.map((digest) => digestFromProto(digest, 'digest'))).toEqual([digestOf(beside)]);
  expect(at.ttls.length).toBeGreaterThan(0);
  for (const ttlMs of [...at.ttls, Number(plan.urlTtlMs)]) expect(ttlMs).toBeLessThanOrEqual(60_000); // the rest of the lease
  const got = new Map<string, Buffer>();
  for (const { url, frames } of plan.packs) {
    const object = at.rig.objects.contents().get(url) ?? new Uint8Array(0);
    for (const frame of frames) {
      const [offset, storedBytes, rawBytes] = [frame.offset, frame.storedBytes, frame.rawBytes].map(Number) as [number, number, number];
      const where = { pack: newPackName(), offset, storedBytes, rawBytes, encoding: frame.zstd ? 'zstd' : 'raw' } as const;
      const raw = await decodeFrame(where, object.subarray(offset, offset + storedBytes));
      for (const blob of frame.blobs) {
        const start = Number(blob.offset);
        got.set(digestFromProto(blob.digest, 'digest'), Buffer.from(raw.subarray(start, start + Number(blob.length))));
      }
    }
  }
  for (const bytes of [above, own]) expect(got.get(digestOf(bytes))?.equals(bytes)).toBe(true);
  const pieces = plan.large[0]?.pieces.map((digest) => got.get(digestFromProto(digest, 'digest')) ?? Buffer.alloc(0)) ?? [];
  expect(Buffer.concat(pieces).equals(large)).toBe(true);
});

test('nobody gets URLs without a live grant of their own', async () => {
  await using at = await openBucketWorld();
  const bytes = randomBytes(500);
  await at.world.as(attempt('main'), 'main', 'writer').store.put(digestOf(bytes), bytes, signal);
  await at.rig.packs.flush();
  for (const standing of ['ended', 'stolen', 'forged'] as const)
    await expectFault('FORBIDDEN', at.world.plan(attempt('main', standing), 'main', 'run', [digestOf(bytes)]));
  await expectFault('GRANT_EXPIRED', at.world.plan(attempt('main', 'expired'), 'main', 'run', [digestOf(bytes)]));
  for (const actor of [{ kind: 'caller', scope: 'main' } as const, { kind: 'coordinator', scope: 'main' } as const])
    await expectFault('FORBIDDEN', at.world.plan(actor, 'main', 'run', [digestOf(bytes)]));
  expect(at.ttls).toEqual([]);
});

test('a store without URLs says so', async () => {
  await using world = await openWorld();
  await expectFault('UNIMPLEMENTED', world.plan(attempt('main'), 'main', 'run', []));
});
