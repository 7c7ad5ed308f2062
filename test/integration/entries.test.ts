import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isFault, type FaultCode } from '../../base/fault.ts';
import { encodeStepResult } from '../../cache/action/action-result.ts';
import { NO_USAGE } from '../../cache/action/result.ts';
import { digestOf, type Digest } from '../../cache/digest.ts';
import { openEntryAdmin } from '../../cache/rpc/entry-admin.ts';
import { entryToProto, nameToProto } from '../../cache/rpc/entry-convert.ts';
import { callUnary, dial } from '../../proto/dial.ts';
import { loadProto } from '../../proto/load.ts';
import { entryOf, nameOf } from '../contract/entry-store.ts';
import { openTestDataPlane, type TestDataPlane, type Who } from '../fixtures/data-plane.ts';

const { signal } = new AbortController();
const options = { signal };
const { EntryCache } = loadProto().switchyard.v1;
type Client = InstanceType<typeof EntryCache>;
let plane: TestDataPlane;

beforeAll(async () => {
  plane = await openTestDataPlane({ quotas: ['web/main=1Gi:1000'] });
});
afterAll(() => plane[Symbol.asyncDispose]());

/** The value of an entry that names these blobs. */
function valueOf(...blobs: readonly Digest[]): Buffer {
  const outputs = blobs.map((digest, index) => ({ kind: 'file', path: `f${index}`, digest, executable: false }) as const);
  const result = { exitCode: 0, outputs, log: undefined, usage: NO_USAGE, agent: 'a', startedAt: 1, endedAt: 2 };
  return Buffer.from(encodeStepResult(result));
}

async function as<T>(who: Who, work: (client: Client) => Promise<T>): Promise<T> {
  const client = dial(EntryCache, plane.link(who), 'control');
  try {
    return await work(client);
  } finally {
    client.close();
  }
}

/** Keeps an entry with one blob of its own, as the coordinator does. */
async function keep(key: string, scope = 'main', over: { readonly replace?: boolean; readonly build?: string } = {}) {
  const blob = randomBytes(20);
  await plane.open('service', `web/${scope}`).store.put(digestOf(blob), blob, signal);
  const entry = { ...entryOf(nameOf(key, scope), '', { build: over.build ?? 'b1' }), value: valueOf(digestOf(blob)) };
  const request = { instanceName: `web/${scope}`, entry: entryToProto(entry, true), replace: over.replace ?? false };
  return as('service', (client) => callUnary(client, 'putEntry', request, options));
}

const find = (who: Who, instanceName: string, key: string, prefixes: readonly string[] = []) =>
  as(who, (client) =>
    callUnary(client, 'findEntry', { instanceName, kind: 'ENTRY_KIND_DEPENDENCY', key, prefixes: [...prefixes] }, options),
  );

const RPCS: Readonly<Record<string, (who: Who, instanceName: string) => Promise<unknown>>> = {
  FindEntry: (who, instanceName) => find(who, instanceName, 'matrix'),
  PutEntry: (who, instanceName) =>
    as(who, (client) => {
      const name = { ...nameToProto(nameOf('matrix')), scope: '' };
      return callUnary(client, 'putEntry', { instanceName, entry: { name, value: valueOf() } }, options);
    }),
  ListEntries: (who, instanceName) => as(who, (client) => callUnary(client, 'listEntries', { instanceName }, options)),
  ExplainEntry: (who, instanceName) =>
    as(who, (client) => callUnary(client, 'explainEntry', { instanceName, kind: 'ENTRY_KIND_DEPENDENCY', key: 'matrix' }, options)),
  PurgeEntries: (who, instanceName) =>
    as(who, (client) => callUnary(client, 'purgeEntries', { instanceName, build: 'nobody', dryRun: true }, options)),
  GetCacheUsage: (who, instanceName) => as(who, (client) => callUnary(client, 'getCacheUsage', { instanceName }, options)),
  CheckEntry: (who, instanceName) =>
    as(who, (client) => callUnary(client, 'checkEntry', { instanceName, name: { ...nameToProto(nameOf('matrix')), scope: '' } }, options)),
  GetStaging: (who) => as(who, (client) => callUnary(client, 'getStaging', {}, options)),
  PlanCollection: (who, instanceName) => as(who, (client) => callUnary(client, 'planCollection', { instanceName }, options)),
};

const COLUMNS: readonly (readonly [Who, string])[] = [
  ['service', 'web/main'],
  ['admin', 'web/main'],
  ['main', 'web/main'],
  ['pr', 'web/main/pr-7'],
  ['pr', 'web/main'],
  ['pr', 'web/main/pr-8'],
  ['viewer', 'web/main'],
  ['agent', 'web/main'],
  ['stranger', 'web/main'],
];
const READS = ['ok', 'ok', 'ok', 'ok', 'ok', 'FORBIDDEN', 'ok', 'FORBIDDEN', 'FORBIDDEN'] as const;
const NONE = Array.from({ length: 7 }, () => 'FORBIDDEN' as const);
const MATRIX: Readonly<Record<string, readonly ('ok' | FaultCode)[]>> = {
  FindEntry: READS,
  ListEntries: READS,
  ExplainEntry: READS,
  GetCacheUsage: READS,
  CheckEntry: READS,
  PutEntry: ['ok', 'FORBIDDEN', ...NONE],
  PurgeEntries: ['ok', 'ok', ...NONE],
  PlanCollection: ['ok', 'ok', ...NONE],
  GetStaging: ['ok', 'ok', 'ok', 'ok', 'ok', 'ok', 'ok', 'FORBIDDEN', 'ok'], // of no project
};

describe('entries over gRPC', () => {
  test.for(Object.entries(MATRIX))('%s answers each caller as the matrix says', async ([name, row]) => {
    const answers = [];
    for (const [who, instanceName] of COLUMNS) {
      const answer = await RPCS[name]?.(who, instanceName).then(
        () => 'ok',
        (error: unknown) => (isFault(error) ? error.code : error),
      );
      answers.push(answer);
    }
    expect(answers).toEqual(row);
    expect(Object.keys(EntryCache.service).toSorted()).toEqual(Object.keys(MATRIX).toSorted());
  });

  test('of the kind layer are kept by submitters in a scope that they write, under their own name and no other', async () => {
    const layer = (who: Who, instanceName: string, key: string, more: { readonly replace?: boolean; readonly scope?: string } = {}) =>
      as(who, (client) => {
        const provenance = { build: 'b-1', agent: 'edge', executed: true, caller: 'somebody' };
        const name = { ...nameToProto(nameOf(key)), kind: 'ENTRY_KIND_LAYER' as const, scope: more.scope ?? '' };
        const entry = { name, value: valueOf(), provenance };
        return callUnary(client, 'putEntry', { instanceName, entry, replace: more.replace ?? false }, options);
      });
    const kept = await layer('main', 'web/main', 'own-tree');
    expect(kept.outcome).toBe('OUTCOME_KEPT');
    expect(kept.entry?.provenance).toMatchObject({ caller: 'main', build: '', agent: '', executed: false });
    const refused = (answer: Promise<unknown>, code: string) => expect(answer).rejects.toMatchObject({ code });
    await refused(layer('main', 'web/main', 'own-tree', { replace: true }), 'FORBIDDEN');
    await refused(layer('main', 'web/main', 'other-tree', { scope: 'main/pr-7' }), 'BAD_REQUEST');
    await refused(layer('pr', 'web/main', 'own-tree'), 'FORBIDDEN');
    await refused(layer('viewer', 'web/main', 'own-tree'), 'FORBIDDEN');
    await refused(layer('agent', 'web/main', 'own-tree'), 'FORBIDDEN');
    const found = (who: Who) =>
      as(who, (client) => callUnary(client, 'findEntry', { instanceName: 'web/main', kind: 'ENTRY_KIND_LAYER', key: 'own-tree' }, options));
    expect((await found('main')).entry).not.toBeNull();
    expect((await found('service')).entry).toBeNull(); // no build of ours looks for it
  });

  test('are found by key in the nearest scope, else by the first prefix that has one', async () => {
    await keep('npm-aa');
    await keep('npm-bb');
    await keep('npx-cc', 'main/pr-7');
    expect((await find('pr', 'web/main/pr-7', 'npm-aa')).entry?.name).toMatchObject({ scope: 'main', key: 'npm-aa' });
    expect(await find('pr', 'web/main/pr-7', 'npm-zz', ['none-', 'npm-', 'npx-'])).toMatchObject({
      entry: { name: { key: 'npm-bb' } },
      prefix: 'npm-',
    });
    expect((await find('main', 'web/main', 'npx-cc', ['npx-'])).entry).toBeNull();
    expect((await find('service', 'web/main/pr-8', 'npx-cc', ['npx-'])).entry).toBeNull();
    await expect(
      find(
        'main',
        'web/main',
        '',
        Array.from({ length: 17 }, () => 'a'),
      ),
    ).rejects.toMatchObject({ code: 'BAD_REQUEST', field: 'prefixes' });
  });

  test('keep their first value, and say when another came', async () => {
    const first = await keep('twice');
    const second = await keep('twice');
    expect([first.outcome, second.outcome, second.entry?.provenance?.build]).toEqual(['OUTCOME_KEPT', 'OUTCOME_DIFFERS', 'b1']);
    expect(plane.env.log.entries.filter(({ event }) => event === 'entry-differs')).toHaveLength(1);
    expect((await keep('twice', 'main', { replace: true })).outcome).toBe('OUTCOME_KEPT');
  });

  test('are not found while a blob of them is gone, and give their name away then', async () => {
    const entry = { ...entryOf(nameOf('gone')), value: valueOf(digestOf(randomBytes(9))) };
    const request = { instanceName: 'web/main', entry: entryToProto(entry, true) };
    await as('service', (client) => callUnary(client, 'putEntry', request, options));
    expect((await find('main', 'web/main', 'gone')).entry).toBeNull();
    const explained = await as('main', (client) =>
      callUnary(client, 'explainEntry', { instanceName: 'web/main', kind: 'ENTRY_KIND_DEPENDENCY', key: 'gone' }, options),
    );
    expect(explained.causes).toEqual(['main has an entry of this key, and blobs that it names may be gone: the next write replaces it']);
    expect((await keep('gone')).outcome).toBe('OUTCOME_KEPT');
    expect((await find('main', 'web/main', 'gone')).entry).not.toBeNull();
  });

  test('of a client are for clients: a service finds what agents of ours made', async () => {
    const action = digestOf(randomBytes(8));
    const result = { exitCode: 0, outputs: [], log: undefined, usage: NO_USAGE, agent: 'mine', startedAt: 1, endedAt: 2 };
    await plane.open('main', 'web/main').actions.put(action, result, signal);
    const request = { instanceName: 'web/main', kind: 'ENTRY_KIND_ACTION', key: action } as const;
    const found = (who: Who) => as(who, (client) => callUnary(client, 'findEntry', request, options));
    expect([(await found('main')).entry?.provenance?.executed, (await found('service')).entry]).toEqual([false, null]);
  });

  test('refuse values and names that cannot be, naming the field', async () => {
    const put = (entry: object) => as('service', (client) => callUnary(client, 'putEntry', { instanceName: 'web/main', entry }, options));
    const name = nameToProto(nameOf('k'));
    for (const [entry, field] of [
      [{ name: { ...name, scope: 'main/pr-7' } }, 'entry.name.scope'],
      [{ name: { ...name, kind: 'ENTRY_KIND_UNSPECIFIED' } }, 'entry.name.kind'],
      [{ name: { ...name, key: 'a\nb' } }, 'key'],
      [{}, 'entry.name'],
    ] as const) {
      await expect(put(entry)).rejects.toMatchObject({ code: 'BAD_REQUEST', field });
    }
    await expect(put({ name, value: Buffer.from([0x12, 0x02, 0x12, 0x00]) })).rejects.toMatchObject({ code: 'BAD_REQUEST' });
  });
});

describe('the admin of a project', () => {
  test('lists entries page by page, counts them with their quota, and purges after a dry run', async () => {
    using admin = openEntryAdmin(plane.link('admin'));
    for (let index = 0; index < 12; index += 1) await keep(`listed-${String(index).padStart(2, '0')}`, 'main/pr-9', { build: 'b9' });
    const keys = async () => {
      const found: string[] = [];
      for await (const { at, value } of admin.list('web/main', { scope: 'main/pr-9' }, signal)) found.push(`${at.key} ${value.byteLength}`);
      return found;
    };
    expect(await keys()).toEqual(Array.from({ length: 12 }, (_, index) => `listed-${String(index).padStart(2, '0')} 0`));
    const usage = await admin.usage('web', signal);
    expect(usage.find(({ owner }) => owner.scope === 'main/pr-9')).toMatchObject({ entryCount: 12, blobBytes: 240, quota: undefined });
    expect(usage.find(({ owner }) => owner.scope === 'main')?.quota).toEqual({ blobBytes: 2 ** 30, entryCount: 1_000 });
    const plan = await admin.purge('web', { build: 'b9' }, true, signal);
    expect([plan.purgedCount, (await keys()).length]).toEqual([12, 12]);
    expect((await admin.purge('web', { build: 'b9' }, false, signal)).purgedCount).toBe(12);
    expect(await keys()).toEqual([]);
    await expect(admin.purge('web', {}, false, signal)).rejects.toMatchObject({ code: 'BAD_REQUEST' });
    const explained = await as('pr', (client) =>
      callUnary(client, 'explainEntry', { instanceName: 'web/main/pr-7', kind: 'ENTRY_KIND_DEPENDENCY', key: 'listed-01' }, options),
    );
    expect(explained.causes).toEqual([]); // of pr-9 a caller of pr-7 learns nothing
  });

  test('reads pages of every size in the same order', async () => {
    for (const key of ['p-1', 'p-2', 'p-3']) await keep(key, 'main/pr-7');
    const list = (pageToken: string) =>
      as('pr', (client) => callUnary(client, 'listEntries', { instanceName: 'web/main/pr-7', pageSize: 2, pageToken }, options));
    const seen: string[] = [];
    for (let token = ''; ;) {
      const page = await list(token);
      expect(page.entries.length).toBeLessThanOrEqual(2);
      seen.push(...page.entries.map(({ name }) => `${name?.scope} ${name?.kind} ${name?.key}`));
      token = page.nextPageToken;
      if (token === '') break;
    }
    expect(seen).toEqual(seen.toSorted());
    expect(new Set(seen).size).toBe(seen.length);
    for (const key of ['p-1', 'p-2', 'p-3']) expect(seen).toContain(`main/pr-7 ENTRY_KIND_DEPENDENCY ${key}`);
    await expect(list('nonsense')).rejects.toMatchObject({ code: 'BAD_REQUEST', field: 'page_token' });
  });
});
