import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { isFault } from '../../../base/fault.ts';
import { encodeStepResult } from '../../../cache/action/action-result.ts';
import { NO_USAGE, type StepResult } from '../../../cache/action/result.ts';
import { digestOf, type Digest } from '../../../cache/digest.ts';
import { nameOf as fileOf } from '../../../cache/entries/disk.ts';
import type { Consumed, Provenance } from '../../../cache/entries/entry-store.ts';
import { partitionOf } from '../../../cache/owner.ts';
import { openEntryAdmin } from '../../../cache/rpc/entry-admin.ts';
import { entryToProto } from '../../../cache/rpc/entry-convert.ts';
import type { EntryKind } from '../../../cache/store-index/store-index.ts';
import { callUnary, dial } from '../../../proto/dial.ts';
import { loadProto } from '../../../proto/load.ts';
import { readAll } from '../../contract/blob-store.ts';
import { entryOf, nameOf } from '../../contract/entry-store.ts';
import { openTestDataPlane, type TestDataPlane, type Who } from '../../fixtures/data-plane.ts';

/*
 * Poisonings of shared caches that happened elsewhere, each done here again with what the attacker had. Those about names; those about
 * who holds which right are in incidents.test.ts.
 */

const { signal } = new AbortController();
const options = { signal };
const { EntryCache } = loadProto().switchyard.v1;

function resultOf(...outputs: readonly Digest[]): StepResult {
  const files = outputs.map((digest, index) => ({ kind: 'file', path: `out${index}`, digest, executable: true }) as const);
  return { exitCode: 0, outputs: files, log: undefined, usage: NO_USAGE, agent: 'edge-1', startedAt: 1, endedAt: 2 };
}

/** Stores an output in a scope, as a step that ran there does. */
async function store(plane: TestDataPlane, scope: string, bytes: Uint8Array): Promise<Digest> {
  await plane.open('service', `web/${scope}`).store.put(digestOf(bytes), bytes, signal);
  return digestOf(bytes);
}

/** Keeps an entry in a scope, as the coordinator does for a step that ran there. */
async function keep(
  plane: TestDataPlane,
  scope: string,
  kind: EntryKind,
  key: string,
  outputs: readonly Digest[],
  provenance: Partial<Provenance> = {},
): Promise<Consumed> {
  const entry = { ...entryOf(nameOf(key, scope, kind), '', provenance), value: Buffer.from(encodeStepResult(resultOf(...outputs))) };
  const client = dial(EntryCache, plane.link('service'), 'control');
  try {
    await callUnary(
      client,
      'putEntry',
      { instanceName: `web/${scope}`, entry: entryToProto(entry, true), replace: kind === 'action' },
      options,
    );
  } finally {
    client.close();
  }
  const { build, agent } = entry.provenance;
  return { kind, scope, key, build, agent };
}

async function find(plane: TestDataPlane, who: Who, instanceName: string, key: string, prefixes: readonly string[] = []) {
  const client = dial(EntryCache, plane.link(who), 'control');
  try {
    const kind = 'ENTRY_KIND_DEPENDENCY';
    return (await callUnary(client, 'findEntry', { instanceName, kind, key, prefixes: [...prefixes] }, options)).entry;
  } finally {
    client.close();
  }
}

const codeOf = async (call: Promise<unknown>) =>
  call.then(
    () => 'ok',
    (error: unknown) => (isFault(error) ? error.code : error),
  );

test('CREEP (CVE-2025-36852): a pull request that builds the same inputs first gives the base branch nothing', async () => {
  await using plane = await openTestDataPlane();
  // The hash of an action names its inputs and not who ran it: the patched compiler of the pull request made this output.
  const action = digestOf(Buffer.from('the action, the same in both'));
  const [poison, good] = [await store(plane, 'main/pr-7', Buffer.from('patched')), await store(plane, 'main', Buffer.from('built'))];
  await keep(plane, 'main/pr-7', 'action', action, [poison], { zone: 'untrusted', agent: 'edge-1' });
  await plane.open('pr', 'web/main/pr-7').actions.put(action, resultOf(poison), signal); // as a client of that scope too
  expect(await plane.open('service', 'web/main').actions.get(action, signal)).toBeUndefined();
  expect(await plane.open('main', 'web/main').actions.get(action, signal)).toBeUndefined();
  expect(await codeOf(plane.open('pr', 'web/main').actions.put(action, resultOf(poison), signal))).toBe('FORBIDDEN');
  await keep(plane, 'main', 'action', action, [good], { zone: 'trusted' });
  // What the base branch made later is not shadowed; a pull request reads it from above, where it has none of its own.
  expect((await plane.open('main', 'web/main').actions.get(action, signal))?.outputs).toMatchObject([{ digest: good }]);
  expect((await plane.open('service', 'web/main/pr-8').actions.get(action, signal))?.outputs).toMatchObject([{ digest: good }]);
  expect((await plane.open('service', 'web/main/pr-7').actions.get(action, signal))?.outputs).toMatchObject([{ digest: poison }]);
});

test('Clinejection: flooding the cache from pull requests evicts no entry of the base branch, so that none can be planted in its place', async () => {
  await using plane = await openTestDataPlane({ maxBytes: 2_000_000, maxResultBytes: 200_000 });
  const good = Buffer.from('the nightly job’s node_modules');
  await keep(plane, 'main', 'dependency', 'npm-nightly', [await store(plane, 'main', good)], { zone: 'trusted' });
  // One scope, then many small ones, each filled as fast as it goes: several times what all of the store may hold.
  for (let index = 0; index < 120; index += 1) {
    const scope = index < 40 ? 'main/pr-1' : `main/pr-${index}`;
    await keep(plane, scope, 'dependency', `flood-${index}`, [await store(plane, scope, randomBytes(60_000))], {
      attempt: 'x'.repeat(3_000),
    });
  }
  const evicted = (await plane.disk.entries.usage(signal)).filter((one) => one.evictedBlobCount + one.evictedEntryCount > 0);
  expect(evicted.length).toBeGreaterThan(0);
  expect(evicted.map(({ owner }) => owner.scope)).not.toContain('main');
  // The plant: the same key, in the only scope that they may write.
  await keep(plane, 'main/pr-1', 'dependency', 'npm-nightly', [await store(plane, 'main/pr-1', Buffer.from('planted'))]);
  const found = await find(plane, 'service', 'web/main', 'npm-nightly', ['npm-']);
  expect(found?.name?.scope).toBe('main');
  expect((await readAll(plane.open('service', 'web/main').store, digestOf(good))).equals(good)).toBe(true);
});

test('Datadog incident 57868: results that point at wrong but valid blobs are purged by who made them, with what they led to', async () => {
  await using plane = await openTestDataPlane();
  using admin = openEntryAdmin(plane.link('admin'));
  const actions = ['lib', 'app', 'docs', 'tool'].map((text) => digestOf(Buffer.from(text)));
  const [lib, app, docs, tool] = actions;
  if (lib === undefined || app === undefined || docs === undefined || tool === undefined) throw new Error('four');
  const wrong = await store(plane, 'main', Buffer.from('the output of something else'));
  const right = await store(plane, 'main', Buffer.from('what docs are'));
  // Every digest holds: no check of bytes can tell.
  const bad = await keep(plane, 'main', 'action', lib, [wrong], { build: 'b1', agent: 'broken-agent' });
  const made = await keep(plane, 'main', 'action', app, [wrong], { build: 'b1', agent: 'edge-1', consumed: [bad] });
  await keep(plane, 'main/pr-7', 'dependency', 'npm-app', [wrong], { build: 'b2', agent: 'edge-2', consumed: [made] });
  await keep(plane, 'main', 'action', docs, [right], { build: 'b1', agent: 'edge-1' });
  const plan = await admin.purge('web', { agent: 'broken-agent' }, true, signal);
  expect(plan.purged.map(({ at, consumed }) => [at.owner.scope, at.key, consumed?.key])).toEqual([
    ['main', lib, undefined],
    ['main', app, lib],
    ['main/pr-7', 'npm-app', app],
  ]);
  const get = async (action: Digest) => (await plane.open('service', 'web/main').actions.get(action, signal)) !== undefined;
  expect(await Promise.all([lib, app, docs].map(get))).toEqual([true, true, true]);
  expect((await admin.purge('web', { agent: 'broken-agent' }, false, signal)).purgedCount).toBe(3);
  expect(await Promise.all([lib, app, docs].map(get))).toEqual([false, false, true]);
  expect(await find(plane, 'service', 'web/main/pr-7', 'npm-app')).toBeNull();
  expect(plane.env.log.entries.find(({ event }) => event === 'cache-purged')?.fields).toMatchObject({ who: 'admin', entries: 3 });
});

test('ROCm TheRock 7026 and sccache 845: what keeps a reader from writing is not the reader’s own option', async () => {
  await using plane = await openTestDataPlane();
  const [key, bytes] = ['npm-1', Buffer.from('mine')];
  const action = digestOf(Buffer.from('an action'));
  await keep(plane, 'main', 'dependency', key, [await store(plane, 'main', Buffer.from('good'))]);
  // A patched client without its read-only option has the same token as before.
  for (const [who, instanceName] of [
    ['viewer', 'web/main'],
    ['pr', 'web/main'],
    ['agent', 'web/main'],
    ['stranger', 'web/main'],
  ] as const) {
    const { store: blobs, actions } = plane.open(who, instanceName);
    const tried = [blobs.put(digestOf(bytes), bytes, signal), actions.put(action, resultOf(), signal)].map(codeOf);
    expect([who, ...(await Promise.all(tried))]).toEqual([who, 'FORBIDDEN', 'FORBIDDEN']);
  }
  for (const who of ['main', 'viewer', 'pr', 'agent', 'stranger'] as const) {
    const client = dial(EntryCache, plane.link(who), 'control');
    const entry = entryToProto(entryOf(nameOf('planted')), true);
    expect([who, await codeOf(callUnary(client, 'putEntry', { instanceName: 'web/main', entry }, options))]).toEqual([who, 'FORBIDDEN']);
    client.close();
  }
  expect(await find(plane, 'service', 'web/main', 'planted')).toBeNull();
  // Nor is it where the records are kept: a copy of a good one in another's place, and a record of one's own making.
  const records = path.join(plane.dir, 'entries');
  const pathOf = (at: ReturnType<typeof nameOf>) => {
    const name = fileOf(at.kind, at.key);
    return path.join(records, partitionOf(at.owner), name.slice(0, 2), name);
  };
  const good = fs.readFileSync(pathOf(nameOf(key)));
  for (const [at, record] of [
    [nameOf('npm-2'), good],
    [nameOf('npm-3'), Buffer.concat([good.subarray(0, 80), Buffer.from('poison')])],
  ] as const) {
    fs.writeFileSync(pathOf(at), record);
    expect(await find(plane, 'service', 'web/main', at.key)).toBeNull();
    expect(fs.existsSync(pathOf(at))).toBe(false);
  }
  expect((await find(plane, 'service', 'web/main', 'npm-9', ['npm-']))?.name?.key).toBe(key);
});
