import { generateKeyPairSync } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { startFakeS3 } from '../test/fixtures/fake-s3.ts';
import { needs } from '../test/fixtures/host.ts';
import { startPod, type PodCluster, type RunningPod } from '../test/fixtures/pod.ts';
import { freePorts } from '../test/fixtures/ports.ts';
import { startRedis } from '../test/fixtures/redis.ts';
import { render } from '../test/fixtures/rendered.ts';
import { ROOT } from '../test/fixtures/root.ts';
import { runSwitchyard } from '../test/fixtures/run-process.ts';
import { tempDir } from '../test/fixtures/temp-dir.ts';
import { until } from '../test/fixtures/until.ts';

/** This host by a name that programs do not take for the loopback: the cluster's names are here in these tests. */
const HERE = 'LOCALHOST';
const ISSUER = 'https://kubernetes.default.svc.cluster.local';

/** A cluster, and its keys as `kubectl get --raw /openid/v1/jwks` gives them. */
function newCluster(): { readonly cluster: PodCluster; readonly jwks: string } {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const jwks = { keys: [{ ...publicKey.export({ format: 'jwk' }), use: 'sig', alg: 'RS256', kid: 'account' }] };
  return { cluster: { issuer: ISSUER, key: privateKey, given: {} }, jwks: JSON.stringify(jwks) };
}

/** What the guide has an operator make (docs/kubernetes.md), by the commands that are there, in a directory. */
async function prepare(dir: string, edgeJwks: string) {
  const run = async (...args: readonly string[]) => {
    const { code, stdout, stderr } = await runSwitchyard(args, { cwd: dir });
    expect(code, stderr).toBe(0);
    return stdout.trim();
  };
  const read = (name: string) => readFileSync(join(dir, name), 'utf8');
  await run('ca', 'create', 'trusted');
  await run('ca', 'create', 'production');
  await run(
    'ca',
    'issue',
    'trusted',
    '--host',
    'switchyard',
    'switchyard.switchyard.svc',
    '*.coordinators.switchyard.svc',
    HERE,
    '--out',
    'coordinator',
  );
  const caller = ['--project', 'shop', '--scope', 'main', '--zone', 'production', '--file', 'tokens.json'];
  const token = await run('token', 'create', 'ci-shop', '--role', 'admin', ...caller);
  const main = newCluster();
  const ca = { 'ca.crt': read('trusted-ca.pem') };
  const issuers = { 'issuers.json': readFileSync(join(ROOT, 'deploy/identity/issuers.json'), 'utf8') };
  const signing = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  const given = {
    'coordinator-tokens': { 'tokens.json': read('tokens.json') },
    'coordinator-tls': { 'tls.crt': read('coordinator.crt'), 'tls.key': read('coordinator.key') },
    'yard-ca': ca,
    'production-ca': { 'ca.crt': read('production-ca.pem') },
    'zone-keys': { 'trusted.key': read('trusted-ca.key'), 'production.key': read('production-ca.key') },
    'coordinator-issuers': { ...issuers, 'main-jwks.json': main.jwks, 'edge-1-jwks.json': edgeJwks },
    'coordinator-signing': { 'signing-key.pem': signing },
  };
  return { cluster: { ...main.cluster, given }, ca, caFile: join(dir, 'trusted-ca.pem'), token };
}

/** Who calls, and from where. */
type Caller = { readonly address: string; readonly caFile: string; readonly token: string; readonly cwd: string };

/** Runs a command of the command line against the yard. */
function asCaller({ address, caFile, token, cwd }: Caller, ...args: readonly string[]) {
  const env = { SWITCHYARD_SERVER: address, SWITCHYARD_TLS_CA: caFile, SWITCHYARD_TOKEN: token };
  return runSwitchyard(args, { cwd, env });
}

async function untilReady(pod: RunningPod): Promise<void> {
  let isOver = false;
  void pod.process.ended.then(() => (isOver = true));
  await until('the kubelet finds it ready', async () => isOver || (await pod.probed('readinessProbe')) === 200);
  expect(isOver, pod.process.stderr()).toBe(false);
  expect(await pod.probed('livenessProbe')).toBe(200);
}

/** Where the first coordinators of a yard listen, and by which addresses pods know them. */
async function newAddresses(count: number) {
  const ports = await freePorts(2 * count);
  const all = Array.from({ length: count }, (_, index) => {
    const [control, data] = [ports[2 * index], ports[2 * index + 1]];
    return {
      control: `${HERE}:${control}`,
      data: `${HERE}:${data}`,
      listens: { '0.0.0.0:7410': `0.0.0.0:${control}`, '0.0.0.0:7411': `0.0.0.0:${data}` },
    };
  });
  const named = all.flatMap(({ control, data }, index) => {
    const name = `coordinator-${index}.coordinators.switchyard.svc`;
    return [[`${name}:7410`, control] as const, [`${name}:7411`, data] as const];
  });
  return { all, named: Object.fromEntries(named), first: all[0]?.control ?? '' };
}

describe.runIf(needs('kubectl'))('the rendered overlays, as processes', () => {
  test('single and edge: pods of two clusters enrol by their projected tokens and run steps, and nobody else is let in', async () => {
    await using stack = new AsyncDisposableStack();
    const dir = stack.use(await tempDir()).path;
    const at = (name: string) => join(dir, name);
    for (const name of ['files', 'work']) mkdirSync(at(name));
    const edge = newCluster();
    const { cluster, ca, caFile, token } = await prepare(at('files'), edge.jwks);
    const { all, named, first } = await newAddresses(1);
    const single = { cluster, objects: render('deploy/overlays/single'), node: 'node-a' };
    const coordinator = { ...single, of: 'coordinator', name: 'coordinator-0', addresses: { ...all[0]?.listens, ...named } };
    await untilReady(stack.use(await startPod({ ...coordinator, dir: at('coordinator') })));

    const agents = { ...single, of: 'central-agents', name: 'central-agents-7d9f-x2x', addresses: { 'switchyard:7410': first } };
    const central = stack.use(await startPod({ ...agents, dir: at('central') }));
    const addressesThere = { 'coordinator-0.yard.example.com:7410,coordinator-1.yard.example.com:7410': first };
    const there = {
      cluster: { ...edge.cluster, given: { 'yard-ca': ca } },
      objects: render('deploy/overlays/edge'),
      addresses: addressesThere,
    };
    const node = stack.use(await startPod({ ...there, of: 'edge-agents', name: 'edge-agents-k2k', node: 'node-1', dir: at('node-1') }));
    await Promise.all([untilReady(central), untilReady(node)]);

    const caller = { address: first, caFile, token, cwd: at('work') };
    for (const pool of ['central', 'edge']) {
      const ran = await asCaller(caller, 'exec', '--select', `class=${pool}`, '--', 'echo', `ran in ${pool}`);
      expect(ran, ran.stderr).toMatchObject({ code: 0, stdout: expect.stringContaining(`ran in ${pool}`) });
    }

    // Each of these ends by itself, and says why.
    const refusals: readonly (readonly [string, Partial<Parameters<typeof startPod>[0]>, string])[] = [
      [
        'whose token was used',
        { token: central.token ?? '' },
        'was used before, by spiffe://switchyard/zone/trusted/cluster/main/pool/central',
      ],
      [
        'of another name',
        { token: central.token ?? '', name: 'other' },
        'The token is for central-agents-7d9f-x2x or node-a, and not for other',
      ],
      [
        'of nobody',
        { cluster: { ...newCluster().cluster, given: cluster.given } },
        'The token counts for nothing here: signature verification failed',
      ],
      [
        'of the other cluster',
        { cluster: { ...edge.cluster, given: cluster.given } },
        'The token counts for nothing here: signature verification failed',
      ],
      [
        'for the zone production',
        { objects: render('deploy/overlays/production-zone'), addresses: { 'switchyard.switchyard.svc:7410': first } },
        'gives no certificates of the zone production',
      ],
    ];
    for (const [index, [what, change, why]] of refusals.entries()) {
      await using pod = await startPod({ ...agents, ...change, dir: at(`refused-${index}`) });
      expect((await pod.process.ended).code, `a pod ${what} ends`).not.toBe(0);
      expect(pod.process.stderr(), `a pod ${what}`).toContain(why);
    }
    const audit = await asCaller(caller, 'audit', 'list', '--act', 'enrol', '-o', 'json');
    for (const [what, , why] of refusals) expect(audit.stdout, `a pod ${what} is in the record`).toContain(why);
    const registered = await asCaller(caller, 'agents');
    expect(registered.stdout).toContain('central-agents-7d9f-x2x');
    expect(registered.stdout).toContain('node-1');
    expect(registered.stdout).not.toContain('other');
  });

  test.runIf(needs('bubblewrap'))(
    'zones and production-zone: a step of the zone production runs there only, with two coordinators on a Redis and a bucket',
    async () => {
      await using stack = new AsyncDisposableStack();
      const dir = stack.use(await tempDir()).path;
      const at = (name: string) => join(dir, name);
      for (const name of ['files', 'work']) mkdirSync(at(name));
      const redis = stack.use(await startRedis({ args: ['--requirepass', 'a-password'], admin: { password: 'a-password' } }));
      const s3 = stack.use(await startFakeS3());
      const { cluster, caFile, token } = await prepare(at('files'), newCluster().jwks);
      // What the overlay leaves to its user: where Redis and bucket are, and the keys to them.
      const store = {
        SWITCHYARD_COORDINATOR_REDIS_URL: redis.url,
        SWITCHYARD_COORDINATOR_S3_ENDPOINT: s3.endpoint,
        SWITCHYARD_COORDINATOR_S3_BUCKET: s3.bucket,
        SWITCHYARD_COORDINATOR_S3_ACCESS_KEY_ID: s3.traits.keys.accessKeyId,
        SWITCHYARD_CACHE_S3_SECRET_ACCESS_KEY: s3.traits.keys.secretAccessKey,
      };
      const given = { ...cluster.given, 'coordinator-store': store, 'coordinator-redis': { password: 'a-password' } };
      const { all, named, first } = await newAddresses(2);
      const zones = { cluster: { ...cluster, given }, objects: render('deploy/overlays/zones'), node: 'node-a' };
      const pods = [];
      for (const [index, { listens }] of all.entries()) {
        const place = {
          of: 'coordinator',
          name: `coordinator-${index}`,
          addresses: { ...named, ...listens },
          dir: at(`coordinator-${index}`),
        };
        pods.push(stack.use(await startPod({ ...zones, ...place })));
      }
      await Promise.all(pods.map(untilReady));
      const central = { ...zones, of: 'central-agents', name: 'central-1', addresses: { 'switchyard:7410': first }, dir: at('central') };
      const objects = render('deploy/overlays/production-zone');
      const production = {
        ...central,
        objects,
        name: 'production-1',
        addresses: { 'switchyard.switchyard.svc:7410': first },
        dir: at('production'),
      };
      const agents = [stack.use(await startPod(central)), stack.use(await startPod(production))];
      await Promise.all(agents.map(untilReady));
      const step = (name: string, more: string) => `  ${name}:\n    run: echo of ${name}\n${more}`;
      const pipeline = `version: 1\nsteps:\n${step('build', '    labels: pool=central\n')}${step('release', '    zone: production\n')}`;
      writeFileSync(at('work/switchyard.yaml'), pipeline);
      const caller = { address: all.map(({ control }) => control).join(','), caFile, token, cwd: at('work') };
      const ran = await asCaller(caller, 'run');
      expect(ran, ran.stderr + ran.stdout).toMatchObject({ code: 0 });
      expect(ran.stdout).toMatch(/^build +succeeded +run +central-1 /m);
      expect(ran.stdout).toMatch(/^release +succeeded +run +production-1 /m);
      expect([...s3.objects.keys()], 'what they stored is in the bucket').not.toEqual([]);
    },
  );
});
