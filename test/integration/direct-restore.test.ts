import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import { connect, createServer } from 'node:net';
import path from 'node:path';
import { expect, test } from 'vitest';
import { hashToken } from '../../base/auth.ts';
import { systemClock } from '../../base/clock.ts';
import { grantKeyFrom } from '../../base/grant.ts';
import { silentLogger } from '../../base/log.ts';
import { Secret } from '../../base/secret.ts';
import { keptKeyring } from '../../base/signing.ts';
import { digestOf, type Digest } from '../../cache/digest.ts';
import { openDataPlane } from '../../cache/rpc/client.ts';
import type { TreeEntry } from '../../cache/tree/build.ts';
import { treeOfEntries } from '../../cache/tree/scan.ts';
import { uploadTree } from '../../cache/tree/upload.ts';
import { digestToProto } from '../../proto/convert.ts';
import { startFakeS3, type FakeS3, type Misbehaviour } from '../fixtures/fake-s3.ts';
import { freePorts } from '../fixtures/ports.ts';
import { ROOT } from '../fixtures/root.ts';
import { startNode } from '../fixtures/run-process.ts';
import { offerOf, scriptedCoordinator } from '../fixtures/scripted-coordinator.ts';
import { tempDir } from '../fixtures/temp-dir.ts';

const { signal } = new AbortController();
const env = { log: silentLogger, clock: systemClock };
const AGENT = { name: 'agents', kind: 'agent', cluster: 'local', pool: 'default', zone: 'trusted' } as const;
const LEASE_MS = 60_000;
const FILES = 3_000;
const FILE_BYTES = 2_500;

/** Passes everything on, and counts what comes back. */
async function startMeter(target: string): Promise<{ readonly address: string; bytes: number } & AsyncDisposable> {
  const { hostname, port } = new URL(`tcp://${target}`);
  const server = createServer((near) => {
    const far = connect(Number(port), hostname);
    far.on('data', (chunk) => void (meter.bytes += chunk.byteLength));
    for (const socket of [near, far]) socket.on('error', () => {}).on('close', () => (near.destroy(), far.destroy()));
    near.pipe(far).pipe(near);
    sockets.add(near);
  });
  const sockets = new Set<{ destroy(): void }>();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const at = server.address();
  if (typeof at !== 'object' || at === null) throw new Error('The meter has no port');
  const meter = {
    address: `127.0.0.1:${at.port}`,
    bytes: 0,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
  return meter;
}

/** A data plane as a process of its own over the bucket, the root of a tree that is in it, and grants for attempts that read it. */
async function startPlane(s3: FakeS3, dir: string) {
  await using stack = new AsyncDisposableStack();
  fs.mkdirSync(dir);
  const tokens = path.join(dir, 'tokens.json');
  const service = { name: 'coordinator', sha256: hashToken('service'), kind: 'service' };
  fs.writeFileSync(tokens, JSON.stringify([service, { ...AGENT, sha256: hashToken('agent') }]));
  const keys = path.join(dir, 'keys.pem');
  const where = ['--listen', '127.0.0.1:0', '--dir', dir, '--tokens-file', tokens, '--signing-key-file', keys];
  const store = ['--store', 's3', '--s3-endpoint', s3.endpoint, '--s3-bucket', s3.bucket, '--s3-access-key-id', s3.traits.keys.accessKeyId];
  const secret = { SWITCHYARD_CACHE_S3_SECRET_ACCESS_KEY: s3.traits.keys.secretAccessKey };
  const running = stack.use(startNode([path.join(ROOT, 'cache/main.ts'), ...where, ...store], { env: secret }));
  const address = String((await running.ready())['address']);
  await using plane = openDataPlane({ link: { address, token: new Secret('service') }, instanceName: 'web/main', env });
  const blobs = new Map<Digest, Uint8Array>();
  const entries = Array.from({ length: FILES }, (_, index): TreeEntry => {
    const bytes = randomBytes(FILE_BYTES);
    blobs.set(digestOf(bytes), bytes);
    return { kind: 'file', path: `d${index % 30}/f${index}`, digest: digestOf(bytes), executable: false };
  });
  const built = treeOfEntries(entries);
  await Promise.all([...blobs].map(([digest, bytes]) => plane.store.put(digest, bytes, signal)));
  await uploadTree(built, plane.store, signal);
  const grantKey = grantKeyFrom(keptKeyring(keys));
  const grantFor = (token: string): string => {
    const rights = { project: 'web', reads: ['main'], writes: 'main', producer: 'b-1' };
    return grantKey.seal({ ...rights, agent: AGENT.name, zone: AGENT.zone, token, expiresAt: systemClock.now() + LEASE_MS });
  };
  const parts = stack.move();
  return { address, root: built.root, grantFor, [Symbol.asyncDispose]: () => parts.disposeAsync() };
}

/** Restores the tree on an agent that is new, as a process, and lets a step count its files. */
async function restoreOnAgent(plane: Awaited<ReturnType<typeof startPlane>>, dir: string) {
  await using meter = await startMeter(plane.address);
  await using coordinator = await scriptedCoordinator(env);
  coordinator.manners.registered = { dataAddress: meter.address };
  const [port = 0] = await freePorts(1);
  const args = ['--coordinator', coordinator.address, '--work-dir', dir, '--id', 'edge-1', '--sandbox', 'process'];
  const more = ['--metrics-listen', `127.0.0.1:${port}`];
  await using agent = startNode(['agent/main.ts', ...args, ...more], { env: { SWITCHYARD_AGENT_TOKEN: 'agent' } });
  const stream = await coordinator.stream(1);
  const inputRoot = digestToProto(plane.root);
  const command = ['sh', '-c', 'echo $(find . -type f -size 5 | wc -l) files'];
  stream.send(offerOf('a1.1', command, { inputRoot, instanceName: 'web/main', grant: plane.grantFor('a1.1') }));
  const { report } = await stream.heard('finished');
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  const metric = (name: string) => Number(new RegExp(`^switchyard_agent_bucket_${name} (\\S+)$`, 'm').exec(text)?.[1]);
  return { report, log: String(coordinator.logs.get('a1.1')), metric, throughPlane: meter.bytes, stderr: agent.stderr() };
}

/** Whether the request is an agent's: URLs of the data plane's own live longer than any lease. */
function isAgents(query: ReadonlyMap<string, string>): boolean {
  return Number(query.get('X-Amz-Expires')) <= LEASE_MS / 1_000;
}

test('an agent restores a tree from the bucket, past the data plane', async () => {
  await using dir = await tempDir();
  await using s3 = await startFakeS3();
  await using plane = await startPlane(s3, path.join(dir.path, 'plane'));
  let requests = 0;
  s3.decide = ({ method, query }) => {
    if (method === 'GET' && isAgents(query)) requests += 1;
    return undefined;
  };
  const at = await restoreOnAgent(plane, path.join(dir.path, 'agent'));
  expect(at.report?.failureClass).toBe('FAILURE_CLASS_UNSPECIFIED');
  expect(at.log).toBe(`${FILES} files\n`);
  expect(at.metric('bytes_total')).toBeGreaterThanOrEqual(FILES * FILE_BYTES);
  expect(at.metric('fallbacks_total')).toBe(0);
  expect(at.metric('reachable')).toBe(1);
  expect(at.metric('requests_total')).toBe(requests);
  expect(requests).toBeLessThan(FILES / 50);
  // What went through the data plane: the plan, directories, digests.
  expect(at.throughPlane).toBeLessThan((FILES * FILE_BYTES) / 4);
});

test('an agent that cannot reach the bucket restores the same tree through the data plane', async () => {
  await using dir = await tempDir();
  await using s3 = await startFakeS3();
  await using plane = await startPlane(s3, path.join(dir.path, 'plane'));
  const drop: Misbehaviour = { kind: 'drop' };
  s3.decide = ({ method, query }) => (method === 'GET' && isAgents(query) ? drop : undefined);
  const at = await restoreOnAgent(plane, path.join(dir.path, 'agent'));
  expect(at.report?.failureClass).toBe('FAILURE_CLASS_UNSPECIFIED');
  expect(at.log).toBe(`${FILES} files\n`);
  expect(at.metric('bytes_total')).toBe(0);
  expect(at.metric('fallbacks_total')).toBeGreaterThanOrEqual(FILES);
  expect(at.metric('reachable')).toBe(0);
  expect(at.throughPlane).toBeGreaterThan(FILES * FILE_BYTES);
  expect(at.stderr).toContain('bucket-unreachable');
});
