import { hash, randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { hashToken } from '../../base/auth.ts';
import { systemClock } from '../../base/clock.ts';
import { GRANT_METADATA, grantKeyFrom } from '../../base/grant.ts';
import { silentLogger } from '../../base/log.ts';
import { Secret } from '../../base/secret.ts';
import { keptKeyring } from '../../base/signing.ts';
import { digestOf, type Digest } from '../../cache/digest.ts';
import { openDirectFetcher } from '../../cache/direct/fetcher.ts';
import { openDataPlane } from '../../cache/rpc/client.ts';
import { scanTree } from '../../cache/tree/scan.ts';
import { uploadTree } from '../../cache/tree/upload.ts';
import { callUnary, dial } from '../../proto/dial.ts';
import { loadProto } from '../../proto/load.ts';
import { expectFault, readAll } from '../contract/blob-store.ts';
import { startFakeS3 } from '../fixtures/fake-s3.ts';
import { ROOT } from '../fixtures/root.ts';
import { startNode } from '../fixtures/run-process.ts';
import { tempDir } from '../fixtures/temp-dir.ts';

/* A data plane as a process over a bucket, and an agent's client of it. */

const { signal } = new AbortController();
const env = { log: silentLogger, clock: systemClock };
const AGENT = { name: 'agents', kind: 'agent', cluster: 'local', pool: 'default', zone: 'trusted' } as const;

async function openRig() {
  await using stack = new AsyncDisposableStack();
  const dir = stack.use(await tempDir());
  const s3 = stack.use(await startFakeS3());
  const tokens = path.join(dir.path, 'tokens.json');
  const service = { name: 'coordinator', sha256: hashToken('service'), kind: 'service' };
  fs.writeFileSync(tokens, JSON.stringify([service, { ...AGENT, sha256: hashToken('agent') }]));
  const keys = path.join(dir.path, 'keys.pem');
  const where = ['--listen', '127.0.0.1:0', '--dir', path.join(dir.path, 'plane'), '--tokens-file', tokens, '--signing-key-file', keys];
  const store = ['--store', 's3', '--s3-endpoint', s3.endpoint, '--s3-bucket', s3.bucket, '--s3-access-key-id', s3.traits.keys.accessKeyId];
  const secret = { SWITCHYARD_CACHE_S3_SECRET_ACCESS_KEY: s3.traits.keys.secretAccessKey };
  const running = stack.use(startNode([path.join(ROOT, 'cache/main.ts'), ...where, ...store], { env: secret }));
  const link = { address: String((await running.ready())['address']), token: new Secret('agent') };
  const direct = stack.use(openDirectFetcher(env));
  const plane = stack.use(openDataPlane({ link, instanceName: '', env, direct, patienceMs: 0 }));
  const services = stack.use(openDataPlane({ link: { ...link, token: new Secret('service') }, instanceName: '', env }));
  const raw = stack.adopt(dial(loadProto().switchyard.v1.DirectTransfer, link, 'control'), (client) => client.close());
  const control = stack.adopt(dial(loadProto().switchyard.v1.DataAccess, { ...link, token: new Secret('service') }, 'control'), (client) =>
    client.close(),
  );
  const grantKey = grantKeyFrom(keptKeyring(keys));
  const grantFor = (scope: string, token: string): string => {
    const rights = {
      project: 'web',
      reads: ['main/pr-7', 'main'].slice(scope === 'main' ? 1 : 0),
      writes: scope,
      producer: `build-of-${token}`,
    };
    return grantKey.seal({ ...rights, agent: AGENT.name, zone: AGENT.zone, token, expiresAt: systemClock.now() + 60_000 });
  };
  const parts = stack.move();
  return {
    s3,
    direct,
    dir: dir.path,
    as: (scope: string, token: string) => plane.withGrant(`web/${scope}`, () => grantFor(scope, token)).store,
    asService: (scope: string) => services.withInstance(`web/${scope}`).store,
    /** Calls the service itself, with the grant of an attempt. */
    call: (scope: string, token: string) => ({
      plan: (sizeBytes: number, sha256: string) =>
        callUnary(raw, 'planUpload', { instanceName: `web/${scope}`, sizeBytes, sha256 }, options(grantFor(scope, token))),
      commit: (upload: string) => callUnary(raw, 'commitUpload', { instanceName: `web/${scope}`, upload }, options(grantFor(scope, token))),
    }),
    end: (token: string) => callUnary(control, 'updateGrants', { endedTokens: [token], keptGrants: [] }, { signal }),
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  };
}

function options(grant: string) {
  return { signal, metadata: { [GRANT_METADATA]: grant } };
}

/** A directory of files, some of them large. */
function makeFiles(dir: string, count: number, bytes: number): void {
  for (let index = 0; index < count; index += 1) {
    const folder = path.join(dir, `d${index % 20}`);
    fs.mkdirSync(folder, { recursive: true });
    fs.writeFileSync(path.join(folder, `f${index}`), randomBytes(bytes));
  }
  fs.writeFileSync(path.join(dir, 'large'), randomBytes(3_000_000));
}

test('a tree of many files goes into the bucket past the data plane, and is whole for its scope', async () => {
  await using rig = await openRig();
  const files = path.join(rig.dir, 'files');
  makeFiles(files, 1_000, 10_000);
  const tree = await scanTree(files, { escapingLinks: 'keep' }, signal);
  const { sentBytes } = await uploadTree(tree, rig.as('main', 'a-1'), signal);
  expect(sentBytes).toBeGreaterThan(13_000_000);
  expect(rig.direct.uploads.counters).toMatchObject({ failed: 0 });
  expect(rig.direct.uploads.counters.blobs).toBeGreaterThanOrEqual(1_000);
  expect(rig.s3.requests.filter((text) => text.startsWith('PUT u/')).length).toBe(rig.direct.uploads.counters.packs);
  expect([...rig.s3.objects.keys()].filter((key) => key.startsWith('u/'))).toEqual([]);
  const digests = [...tree.blobs.keys()];
  expect(await rig.asService('main').findMissing(digests, signal)).toEqual([]);
  expect(await rig.asService('release').findMissing(digests, signal)).toHaveLength(digests.length);
  const some = digests.slice(0, 30);
  for (const digest of some) expect(digestOf(await readAll(rig.asService('main'), digest))).toBe(digest);
});

test('where the bucket takes no packs from the agent, the same tree goes through the data plane', async () => {
  await using rig = await openRig();
  const files = path.join(rig.dir, 'files');
  makeFiles(files, 1_000, 10_000);
  rig.s3.decide = ({ method, key }) => (method === 'PUT' && key.startsWith('u/') ? { kind: 'drop' } : undefined);
  const tree = await scanTree(files, { escapingLinks: 'keep' }, signal);
  await uploadTree(tree, rig.as('main', 'a-1'), signal);
  expect(rig.direct.uploads.counters).toMatchObject({ blobs: 0, packs: 0 });
  expect(await rig.asService('main').findMissing([...tree.blobs.keys()], signal)).toEqual([]);
});

test('no attempt commits what another one put, and none commits after its end', async () => {
  await using rig = await openRig();
  const pack = randomBytes(1_000);
  const sha256 = hash('sha256', pack);
  const planOf = async (scope: string, token: string) => {
    const { upload, url, headers } = await rig.call(scope, token).plan(pack.byteLength, sha256);
    expect((await fetch(url, { method: 'PUT', headers, body: pack })).status).toBe(200);
    return upload;
  };
  const upload = await planOf('main', 'a-1');
  await expectFault('FORBIDDEN', rig.call('main', 'a-2').commit(upload));
  await expectFault('FORBIDDEN', rig.call('main/pr-7', 'a-3').commit(upload));
  await rig.end('a-1');
  await expectFault('FORBIDDEN', rig.call('main', 'a-1').commit(upload));
  await expectFault('FORBIDDEN', rig.call('main', 'a-1').plan(pack.byteLength, sha256));
  await expectFault('BAD_REQUEST', rig.call('main', 'a-4').plan(pack.byteLength, 'no hash'));
  const missing: readonly Digest[] = [digestOf(pack)];
  expect(await rig.asService('main').findMissing(missing, signal)).toEqual(missing);
});
