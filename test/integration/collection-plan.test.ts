import { expect, test } from 'vitest';
import { hashToken, tokenAuthenticator } from '../../base/auth.ts';
import { Secret } from '../../base/secret.ts';
import { openEpoch } from '../../cache/gc/open-epoch.ts';
import { dryRun } from '../../cache/gc/dry-run.ts';
import { GC_SETTINGS } from '../../cache/gc/settings.ts';
import { memoryObjects } from '../../cache/objects/memory.ts';
import { packKey } from '../../cache/packs/names.ts';
import { openEntryAdmin } from '../../cache/rpc/entry-admin.ts';
import { dataPlaneServices } from '../../cache/rpc/services.ts';
import { memoryStoreIndex } from '../../cache/store-index/memory.ts';
import type { Owner } from '../../cache/store-index/store-index.ts';
import { serve } from '../../proto/serve.ts';
import { IDENTITIES, openTestDataPlane } from '../fixtures/data-plane.ts';
import { blob, handClock, newPack, packName } from '../fixtures/store-index.ts';

const { signal } = new AbortController();
const DAY = 24 * 3_600_000;

test('a plan of garbage collection names what is of the own project, and only counts the rest', async () => {
  await using plane = await openTestDataPlane();
  const clock = handClock();
  const env = { log: plane.env.log, clock: { now: () => clock.now(), monotonic: () => clock.now() } };
  const objects = memoryObjects({ clock: env.clock });
  const index = memoryStoreIndex({ clock, ready: false });
  await openEpoch({ objects, index, env, graceMs: GC_SETTINGS.graceMs }, signal);
  await index.complete((await index.epoch(signal)).epoch, signal);
  const add = async (n: number, owner: Owner) => {
    await objects.put(packKey(packName(n)), Buffer.from('pack'), { ifAbsent: true }, signal);
    await index.addPack(newPack(packName(n), [blob(n)], { begunAt: clock.now(), owner, producer: `b-${n}` }), undefined, signal);
  };
  await objects.put(packKey(packName(9)), Buffer.from('nobody names it'), { ifAbsent: true }, signal);
  await add(1, { project: 'web', scope: 'main' });
  await add(2, { project: 'other', scope: 'main' });
  clock.pass(2 * DAY);
  await add(3, { project: 'web', scope: 'main' }); // too young

  const authenticator = tokenAuthenticator(
    Object.entries(IDENTITIES).map(([token, identity]) => ({ sha256: hashToken(token), identity })),
    undefined,
  );
  const collector = { objects, index, settings: GC_SETTINGS, env };
  const { storeOf, actionCache, entries } = plane.disk;
  using served = dataPlaneServices({
    grants: plane.grants,
    storeOf,
    actionCache,
    entries: { ...entries, planCollection: (give, stop) => dryRun(collector, give, stop) },
    env: plane.env,
  });
  await using server = await serve({ listen: '127.0.0.1:0', services: served.services, authenticator, env: plane.env, drainMs: 100 });
  using admin = openEntryAdmin({ address: server.address, token: new Secret('admin') });
  const plan = await admin.planCollection('web', signal);
  expect(plan).toMatchObject({ hasPacks: true, stopped: undefined, entryCount: 0, packCount: 1, orphanCount: 1 });
  expect(plan.packs).toMatchObject([{ name: packName(1), scope: 'main', producer: 'b-1', why: 'unused' }]);
  expect(plan.packs[0]?.goesAt).toBe(clock.now() + GC_SETTINGS.graceMs);
  expect(plan.kept).toEqual({ referenced: 0, held: 0, recent: 1 });
  using main = openEntryAdmin({ address: server.address, token: new Secret('main') });
  await expect(main.planCollection('web', signal)).rejects.toMatchObject({ code: 'FORBIDDEN' });
});
