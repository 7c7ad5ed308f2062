import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isFault, type FaultCode } from '../../base/fault.ts';
import { Secret } from '../../base/secret.ts';
import { encodeStepResult } from '../../cache/action/action-result.ts';
import { NO_USAGE, type StepResult } from '../../cache/action/result.ts';
import { digestOf, EMPTY_DIGEST, hashOf, sizeOf, type Digest } from '../../cache/digest.ts';
import { callClientStream, callServerStream, callUnary, dial } from '../../proto/dial.ts';
import { loadProto } from '../../proto/load.ts';
import { readAll } from '../contract/blob-store.ts';
import { viewIn } from '../contract/store-of.ts';
import { openTestDataPlane, type TestDataPlane, type Who } from '../fixtures/data-plane.ts';

const { signal } = new AbortController();
const options = { signal };
const proto = loadProto();
const v2 = proto.build.bazel.remote.execution.v2;
const asset = proto.build.bazel.remote.asset.v1;
const toProto = (digest: Digest) => ({ hash: hashOf(digest), sizeBytes: String(sizeOf(digest)) });
const BLOB = Buffer.from('a blob of the project web');
const ACTION = digestOf(Buffer.from('an action'));
const RESULT: StepResult = {
  exitCode: 0,
  outputs: [{ kind: 'file', path: 'out', digest: digestOf(BLOB), executable: true }],
  log: { digest: digestOf(BLOB), truncated: false },
  usage: { ...NO_USAGE, cpuMs: 5 },
  agent: 'edge-1',
  startedAt: 1_700_000_000_123,
  endedAt: 1_700_000_001_000,
};
let plane: TestDataPlane;

beforeAll(async () => {
  plane = await openTestDataPlane();
});
afterAll(() => plane[Symbol.asyncDispose]());

type Rpc = (who: Who, instanceName: string) => Promise<unknown>;

/** Every rpc of the data plane, in a form that succeeds for whoever may make it. */
const RPCS: Readonly<Record<string, Rpc>> = {
  'ContentAddressableStorage.FindMissingBlobs': (who, instanceName) =>
    onCas(who, (client) => callUnary(client, 'findMissingBlobs', { instanceName, blobDigests: [toProto(digestOf(BLOB))] }, options)),
  'ContentAddressableStorage.BatchUpdateBlobs': (who, instanceName) =>
    onCas(who, (client) =>
      callUnary(client, 'batchUpdateBlobs', { instanceName, requests: [{ digest: toProto(digestOf(BLOB)), data: BLOB }] }, options),
    ),
  'ContentAddressableStorage.BatchReadBlobs': (who, instanceName) =>
    onCas(who, (client) => callUnary(client, 'batchReadBlobs', { instanceName, digests: [toProto(digestOf(BLOB))] }, options)),
  'ContentAddressableStorage.GetTree': (who, instanceName) =>
    onCas(who, (client) =>
      drain(callServerStream(client, 'getTree', { instanceName, rootDigest: toProto(digestOf(Buffer.alloc(0))) }, options)),
    ),
  'ContentAddressableStorage.SplitBlob': (who, instanceName) =>
    onCas(who, (client) => callUnary(client, 'splitBlob', { instanceName, blobDigest: toProto(digestOf(BLOB)) }, options)),
  'ContentAddressableStorage.SpliceBlob': (who, instanceName) =>
    onCas(who, (client) => {
      const digest = toProto(digestOf(BLOB));
      return callUnary(client, 'spliceBlob', { instanceName, blobDigest: digest, chunkDigests: [digest] }, options);
    }),
  'Fetch.FetchBlob': (who, instanceName) =>
    using(dial(asset.Fetch, plane.link(who), 'control'), (client) =>
      callUnary(client, 'fetchBlob', { instanceName, uris: ['urn:a'] }, options),
    ),
  'Fetch.FetchDirectory': (who, instanceName) =>
    using(dial(asset.Fetch, plane.link(who), 'control'), (client) =>
      callUnary(client, 'fetchDirectory', { instanceName, uris: ['urn:a'] }, options),
    ),
  'Push.PushBlob': (who, instanceName) =>
    using(dial(asset.Push, plane.link(who), 'control'), (client) =>
      callUnary(client, 'pushBlob', { instanceName, uris: ['urn:a'], blobDigest: toProto(digestOf(BLOB)) }, options),
    ),
  'Push.PushDirectory': (who, instanceName) =>
    using(dial(asset.Push, plane.link(who), 'control'), (client) =>
      callUnary(client, 'pushDirectory', { instanceName, uris: ['urn:a'], rootDirectoryDigest: toProto(EMPTY_DIGEST) }, options),
    ),
  'ByteStream.Read': (who, instanceName) =>
    onBytes(who, (client) =>
      drain(
        callServerStream(client, 'read', { resourceName: `${instanceName}/blobs/${hashOf(digestOf(BLOB))}/${BLOB.byteLength}` }, options),
      ),
    ),
  'ByteStream.Write': (who, instanceName) => {
    const fresh = randomBytes(50);
    const messages = async function* () {
      yield { resourceName: `${instanceName}/uploads/u/blobs/${hashOf(digestOf(fresh))}/50`, data: fresh, finishWrite: true };
    };
    return onBytes(who, (client) => callClientStream(client, 'write', messages(), options));
  },
  'ByteStream.QueryWriteStatus': (who, instanceName) =>
    onBytes(who, (client) =>
      callUnary(
        client,
        'queryWriteStatus',
        { resourceName: `${instanceName}/uploads/u/blobs/${hashOf(digestOf(BLOB))}/${BLOB.byteLength}` },
        options,
      ),
    ),
  'ActionCache.GetActionResult': (who, instanceName) =>
    onActions(who, (client) => callUnary(client, 'getActionResult', { instanceName, actionDigest: toProto(ACTION) }, options)),
  'ActionCache.UpdateActionResult': (who, instanceName) =>
    onActions(who, (client) =>
      callUnary(
        client,
        'updateActionResult',
        { instanceName, actionDigest: toProto(ACTION), actionResult: v2.ActionResult.deserialize(Buffer.from(encodeStepResult(RESULT))) },
        options,
      ),
    ),
  'Capabilities.GetCapabilities': (who, instanceName) =>
    using(dial(v2.Capabilities, plane.link(who), 'control'), (client) => callUnary(client, 'getCapabilities', { instanceName }, options)),
  'DirectTransfer.PlanReads': (who, instanceName) =>
    onDirect(who, (client) => callUnary(client, 'planReads', { instanceName, digests: [toProto(digestOf(BLOB))] }, options)),
  'DirectTransfer.BeginUploads': (who, instanceName) =>
    onDirect(who, (client) => callUnary(client, 'beginUploads', { instanceName }, options)),
  'DirectTransfer.PlanUpload': (who, instanceName) => onDirect(who, (client) => callUnary(client, 'planUpload', { instanceName }, options)),
  'DirectTransfer.CommitUpload': (who, instanceName) =>
    onDirect(who, (client) => callUnary(client, 'commitUpload', { instanceName }, options)),
  'DataAccess.UpdateGrants': (who) =>
    using(dial(proto.switchyard.v1.DataAccess, plane.link(who), 'control'), (client) => callUnary(client, 'updateGrants', {}, options)),
  'DataAccess.TakeRefusals': (who) =>
    using(dial(proto.switchyard.v1.DataAccess, plane.link(who), 'control'), (client) => callUnary(client, 'takeRefusals', {}, options)),
};

async function using<C extends { close(): void }>(client: C, work: (client: C) => Promise<unknown>): Promise<unknown> {
  try {
    return await work(client);
  } finally {
    client.close();
  }
}
const onCas = (who: Who, work: (client: InstanceType<typeof v2.ContentAddressableStorage>) => Promise<unknown>) =>
  using(dial(v2.ContentAddressableStorage, plane.link(who), 'bulk'), work);
const onBytes = (who: Who, work: (client: InstanceType<typeof proto.google.bytestream.ByteStream>) => Promise<unknown>) =>
  using(dial(proto.google.bytestream.ByteStream, plane.link(who), 'bulk'), work);
const onActions = (who: Who, work: (client: InstanceType<typeof v2.ActionCache>) => Promise<unknown>) =>
  using(dial(v2.ActionCache, plane.link(who), 'control'), work);
const onDirect = (who: Who, work: (client: InstanceType<typeof proto.switchyard.v1.DirectTransfer>) => Promise<unknown>) =>
  using(dial(proto.switchyard.v1.DirectTransfer, plane.link(who), 'control'), work);

async function drain(stream: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of stream);
}

async function outcome(rpc: Rpc, who: Who, instanceName: string): Promise<'ok' | FaultCode> {
  try {
    await rpc(who, instanceName);
    return 'ok';
  } catch (error) {
    if (isFault(error)) return error.code;
    throw error;
  }
}

/** Columns: what the rpc answers to each caller. `web/main` but where said otherwise. */
const MATRIX: Readonly<Record<keyof typeof RPCS, readonly ['ok' | FaultCode, ...('ok' | FaultCode)[]]>> = {
  // main, pr at web/main/pr-7, pr at web/main, viewer, agent, service, stranger at web/main, main at web/main/pr-7
  'ContentAddressableStorage.FindMissingBlobs': ['ok', 'ok', 'ok', 'ok', 'FORBIDDEN', 'ok', 'FORBIDDEN', 'ok'],
  'ContentAddressableStorage.BatchUpdateBlobs': ['ok', 'ok', 'FORBIDDEN', 'FORBIDDEN', 'FORBIDDEN', 'ok', 'FORBIDDEN', 'ok'],
  'ContentAddressableStorage.BatchReadBlobs': ['ok', 'ok', 'ok', 'ok', 'FORBIDDEN', 'ok', 'FORBIDDEN', 'ok'],
  'ContentAddressableStorage.GetTree': ['ok', 'ok', 'ok', 'ok', 'FORBIDDEN', 'ok', 'FORBIDDEN', 'ok'],
  'ContentAddressableStorage.SplitBlob': ['ok', 'ok', 'ok', 'ok', 'FORBIDDEN', 'ok', 'FORBIDDEN', 'ok'],
  'ContentAddressableStorage.SpliceBlob': ['ok', 'ok', 'FORBIDDEN', 'FORBIDDEN', 'FORBIDDEN', 'ok', 'FORBIDDEN', 'ok'],
  'Fetch.FetchBlob': ['ok', 'ok', 'ok', 'ok', 'FORBIDDEN', 'ok', 'FORBIDDEN', 'ok'],
  'Fetch.FetchDirectory': ['ok', 'ok', 'ok', 'ok', 'FORBIDDEN', 'ok', 'FORBIDDEN', 'ok'],
  'Push.PushBlob': ['ok', 'ok', 'FORBIDDEN', 'FORBIDDEN', 'FORBIDDEN', 'ok', 'FORBIDDEN', 'ok'],
  'Push.PushDirectory': ['ok', 'ok', 'FORBIDDEN', 'FORBIDDEN', 'FORBIDDEN', 'ok', 'FORBIDDEN', 'ok'],
  'ByteStream.Read': ['ok', 'ok', 'ok', 'ok', 'FORBIDDEN', 'ok', 'FORBIDDEN', 'ok'],
  'ByteStream.Write': ['ok', 'ok', 'FORBIDDEN', 'FORBIDDEN', 'FORBIDDEN', 'ok', 'FORBIDDEN', 'ok'],
  'ByteStream.QueryWriteStatus': ['ok', 'ok', 'ok', 'ok', 'FORBIDDEN', 'ok', 'FORBIDDEN', 'ok'],
  'ActionCache.UpdateActionResult': ['ok', 'ok', 'FORBIDDEN', 'FORBIDDEN', 'FORBIDDEN', 'ok', 'FORBIDDEN', 'ok'],
  'ActionCache.GetActionResult': ['ok', 'ok', 'ok', 'ok', 'FORBIDDEN', 'ok', 'FORBIDDEN', 'ok'],
  'Capabilities.GetCapabilities': ['ok', 'ok', 'ok', 'ok', 'FORBIDDEN', 'ok', 'FORBIDDEN', 'ok'],
  'DirectTransfer.PlanReads': ['FORBIDDEN', 'FORBIDDEN', 'FORBIDDEN', 'FORBIDDEN', 'FORBIDDEN', 'FORBIDDEN', 'FORBIDDEN', 'FORBIDDEN'],
  'DirectTransfer.BeginUploads': ['FORBIDDEN', 'FORBIDDEN', 'FORBIDDEN', 'FORBIDDEN', 'FORBIDDEN', 'FORBIDDEN', 'FORBIDDEN', 'FORBIDDEN'],
  'DirectTransfer.PlanUpload': ['FORBIDDEN', 'FORBIDDEN', 'FORBIDDEN', 'FORBIDDEN', 'FORBIDDEN', 'FORBIDDEN', 'FORBIDDEN', 'FORBIDDEN'],
  'DirectTransfer.CommitUpload': ['FORBIDDEN', 'FORBIDDEN', 'FORBIDDEN', 'FORBIDDEN', 'FORBIDDEN', 'FORBIDDEN', 'FORBIDDEN', 'FORBIDDEN'],
  'DataAccess.UpdateGrants': ['FORBIDDEN', 'FORBIDDEN', 'FORBIDDEN', 'FORBIDDEN', 'FORBIDDEN', 'ok', 'FORBIDDEN', 'FORBIDDEN'],
  'DataAccess.TakeRefusals': ['FORBIDDEN', 'FORBIDDEN', 'FORBIDDEN', 'FORBIDDEN', 'FORBIDDEN', 'ok', 'FORBIDDEN', 'FORBIDDEN'],
};
const COLUMNS: readonly (readonly [Who, string])[] = [
  ['main', 'web/main'],
  ['pr', 'web/main/pr-7'],
  ['pr', 'web/main'],
  ['viewer', 'web/main'],
  ['agent', 'web/main'],
  ['service', 'web/main'],
  ['stranger', 'web/main'],
  ['main', 'web/main/pr-7'],
];

describe('access', () => {
  test('every rpc that is offered has a row in the matrix', () => {
    const { DataAccess, DirectTransfer } = proto.switchyard.v1;
    const reapi = [v2.ContentAddressableStorage, proto.google.bytestream.ByteStream, v2.ActionCache, v2.Capabilities];
    const services = [...reapi, asset.Fetch, asset.Push, DataAccess, DirectTransfer];
    const names = services.flatMap(({ service }) => Object.values(service).map(({ path }) => path.replace(/^.*\.([^.]+)\/(.+)$/, '$1.$2')));
    expect(Object.keys(MATRIX).toSorted()).toEqual(names.toSorted());
  });

  test.for(Object.entries(MATRIX))('%s answers each caller as the matrix says', async ([name, row]) => {
    await plane.disk.storeOf(viewIn('web', 'main')).put(digestOf(BLOB), BLOB, signal);
    if (name === 'ActionCache.GetActionResult') await plane.open('service', 'web/main').actions.put(ACTION, RESULT, signal);
    const rpc = RPCS[name];
    if (rpc === undefined) throw new Error(`no call for ${name}`);
    const answers = [];
    for (const [who, instanceName] of COLUMNS) answers.push(await outcome(rpc, who, instanceName));
    expect(answers).toEqual(row);
  });

  test('nobody is let in without a token or with a wrong one', async () => {
    for (const token of [undefined, new Secret('nonsense')]) {
      const client = dial(v2.Capabilities, { address: plane.address, token }, 'control');
      await using(client, async (open) => {
        await expect(callUnary(open, 'getCapabilities', { instanceName: '' }, options)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
      });
    }
  });

  test('blobs of one project do not exist for another', async () => {
    const bytes = randomBytes(100);
    await plane.open('main', '').store.put(digestOf(bytes), bytes, signal);
    expect(await plane.open('pr', 'web').store.findMissing([digestOf(bytes)], signal)).toEqual([]);
    expect(await plane.open('stranger', 'other').store.findMissing([digestOf(bytes)], signal)).toEqual([digestOf(bytes)]);
    const other = plane.openWith(() => plane.grant({ project: 'other' }), 'other/main');
    expect(await other.store.findMissing([digestOf(bytes)], signal)).toEqual([digestOf(bytes)]);
    expect((await readAll(plane.openWith(() => plane.grant(), 'web/main').store, digestOf(bytes))).equals(bytes)).toBe(true);
  });

  test('instance names that are malformed are refused', async () => {
    for (const instanceName of ['web//main', '/web', 'web/blobs/main', 'web/main/../x y', 'we b']) {
      const found = await outcome(RPCS['ContentAddressableStorage.FindMissingBlobs'] ?? (async () => {}), 'service', instanceName);
      expect([instanceName, found]).toEqual([instanceName, 'BAD_REQUEST']);
    }
    expect(await outcome(RPCS['ContentAddressableStorage.FindMissingBlobs'] ?? (async () => {}), 'service', 'web')).toBe('BAD_REQUEST');
  });

  test('capabilities say who may store results', async () => {
    const may = async (who: Who, instanceName: string) => {
      const answer = await using(dial(v2.Capabilities, plane.link(who), 'control'), (client) =>
        callUnary(client, 'getCapabilities', { instanceName }, options),
      );
      return answer;
    };
    for (const [who, instanceName, expected] of [
      ['main', '', true],
      ['pr', 'web/main', false],
      ['viewer', '', false],
    ] as const) {
      expect(await may(who, instanceName)).toMatchObject({
        cacheCapabilities: { actionCacheUpdateCapabilities: { updateEnabled: expected } },
      });
    }
  });
});

describe('results', () => {
  const fresh = () => digestOf(randomBytes(16));

  test('come back whole, as long as their blobs are there', async () => {
    const action = fresh();
    const { actions, store } = plane.open('service', 'web/main');
    await store.put(digestOf(BLOB), BLOB, signal);
    expect(await actions.get(action, signal)).toBeUndefined();
    await actions.put(action, RESULT, signal);
    expect(await actions.get(action, signal)).toEqual(RESULT);
    const incomplete = { ...RESULT, log: { digest: digestOf(randomBytes(5)), truncated: true } };
    await actions.put(action, incomplete, signal);
    expect(await actions.get(action, signal)).toBeUndefined();
  });

  test('are seen in the own scope and below it, never above or beside', async () => {
    const [above, below] = [fresh(), fresh()];
    await plane.open('service', 'web/main').actions.put(above, RESULT, signal);
    await plane.open('service', 'web/main/pr-7').actions.put(below, RESULT, signal);
    const seen = (who: Who, instanceName: string, action: Digest) => plane.open(who, instanceName).actions.get(action, signal);
    expect(await seen('pr', 'web/main/pr-7', above)).toEqual(RESULT);
    expect(await seen('service', 'web/main/pr-7', above)).toEqual(RESULT);
    expect(await seen('main', 'web/main', below)).toBeUndefined();
    expect(await seen('pr', 'web/main', below)).toBeUndefined();
    expect(await seen('service', 'web/main/pr-8', below)).toBeUndefined();
    expect(await seen('service', 'other/main', above)).toBeUndefined();
  });

  test('of clients are for clients: a service neither reads them nor loses its own to them', async () => {
    const [first, second] = [fresh(), fresh()];
    const fromClient = { ...RESULT, exitCode: 3 };
    const [client, service] = [plane.open('main', 'web/main').actions, plane.open('service', 'web/main').actions];
    await client.put(first, fromClient, signal);
    expect(await client.get(first, signal)).toEqual(fromClient);
    expect(await service.get(first, signal)).toBeUndefined();
    await service.put(second, RESULT, signal);
    await client.put(second, fromClient, signal);
    expect(await service.get(second, signal)).toEqual(RESULT);
    await service.put(first, RESULT, signal);
    expect(await client.get(first, signal)).toEqual(RESULT);
  });

  test('of any key are kept (moon), bytes in them move to the store, and come back inline when asked for', async () => {
    const key = digestOf(Buffer.from('{"not": "an Action"}'));
    const client = dial(v2.ActionCache, plane.link('main'), 'control');
    await using(client, async (open) => {
      const actionResult = {
        exitCode: 0,
        stdoutRaw: Buffer.from('said'),
        outputFiles: [{ path: 'f', contents: Buffer.from('inline'), digest: toProto(digestOf(Buffer.from('inline'))) }],
      };
      const kept = await callUnary(open, 'updateActionResult', { instanceName: 'web', actionDigest: toProto(key), actionResult }, options);
      expect([kept.stdoutRaw.byteLength, kept.stdoutDigest]).toEqual([0, toProto(digestOf(Buffer.from('said')))]);
      expect(kept.executionMetadata?.worker).toBe('main');
      const plain = await callUnary(open, 'getActionResult', { instanceName: 'web', actionDigest: toProto(key) }, options);
      expect([plain.stdoutRaw.byteLength, plain.outputFiles[0]?.contents.byteLength]).toEqual([0, 0]);
      const wish = { inlineStdout: true, inlineStderr: true, inlineOutputFiles: ['f', 'nothing'] };
      const inline = await callUnary(open, 'getActionResult', { instanceName: 'web', actionDigest: toProto(key), ...wish }, options);
      expect([inline.stdoutRaw.toString(), inline.outputFiles[0]?.contents.toString()]).toEqual(['said', 'inline']);
      const lying = { stdoutRaw: Buffer.from('said'), stdoutDigest: toProto(digestOf(BLOB)) };
      const answer = callUnary(
        open,
        'updateActionResult',
        { instanceName: 'web', actionDigest: toProto(key), actionResult: lying },
        options,
      );
      await expect(answer).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' });
    });
  });
});
