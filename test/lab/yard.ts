import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { hashToken } from '../../base/auth.ts';
import { Secret } from '../../base/secret.ts';
import type { Zone } from '../../base/zone.ts';
import type { DialTls } from '../../proto/tls.ts';
import { startMember } from '../chaos/member.ts';
import { withParts, type AgentMember, type CoordinatorMember, type Yard } from '../chaos/yard.ts';
import { authorityIn, certificateBy, clientOf, DOMAIN, writeCertificate, type TestAuthority } from '../fixtures/certificates.ts';
import { startRedis, type RedisServer } from '../fixtures/redis.ts';
import { startRelay, type Relay } from '../fixtures/relay.ts';
import { ROOT } from '../fixtures/root.ts';
import type { Ended, RunningProcess } from '../fixtures/run-process.ts';
import { agentsOf, COORDINATORS, LAB_CLUSTERS, type CoordinatorName, type LabCluster } from './clusters.ts';
import { CALLERS_HOST, nameOf, openLabNetwork, PORTS, S3_NAME, YARD_NAME, type LabNetwork } from './network.ts';
import { openLabStore } from './store.ts';

export type LabYardOptions = {
  /** A new directory, in which everything is. */
  readonly dir: string;
  readonly s3: 'real' | 'fake';
  readonly leaseTtlMs: number;
  readonly termTtlMs: number;
  readonly retentionMs: number;
  readonly say: (line: string) => void;
};

/** Who calls: all are of the project `shop`. */
export const CALLERS = {
  /** The team's own builds, up to production. */
  main: { role: 'admin', scope: 'main', zoneCeiling: 'production' },
  /** A stranger's pull request. */
  fork: { role: 'submitter', scope: 'main/fork', zoneCeiling: 'untrusted' },
} as const;
export type CallerName = keyof typeof CALLERS;

/** Three clusters, two coordinators on one Redis and one bucket, and twelve agents, over mutual TLS with an authority for each zone. */
export interface LabYard extends Yard {
  readonly network: LabNetwork;
  readonly storeName: string;
  /** The only way to S3, of coordinators and agents. */
  readonly s3Link: Relay;
  /** Where the runner itself reaches the coordinators, and how. */
  readonly addresses: readonly string[];
  readonly tls: DialTls;
  readonly tokens: Readonly<Record<CallerName, Secret>>;
  /** Starts somebody who is no agent of this yard, in the cluster's namespace. */
  intruder(plan: Intruder): RunningProcess;
  /** Runs the command line to its end as the team does, from its own host. */
  run(args: readonly string[], dir: string): Promise<Ended & { readonly stdout: string; readonly stderr: string }>;
}

export type Intruder = {
  readonly name: string;
  /** What its certificate says of it, and the zone whose authority has signed that. */
  readonly as: LabCluster;
  readonly by: Zone;
  /** What it registers as. @default its name, which its certificate has */
  readonly id?: string;
  /** Of its certificate; a negative one has expired. */
  readonly lifeMs?: number;
};

/** What was answered is on the disk, so that a kill -9 may lose nothing. */
const REDIS_ARGS = ['--appendonly', 'yes', '--appendfsync', 'always', '--auto-aof-rewrite-min-size', '16mb'];
const PROGRAM = [process.execPath, join(ROOT, 'bin/switchyard.js')];

type Parts = {
  readonly options: LabYardOptions;
  readonly network: LabNetwork;
  readonly authorities: ReadonlyMap<Zone, TestAuthority>;
  /** The authority of servers. */
  readonly ca: string;
};

/** Starts all of it. Nobody waits for it to be ready: clients find out, as they do in life. */
export async function startLabYard(options: LabYardOptions): Promise<LabYard> {
  await using stack = new AsyncDisposableStack();
  const { dir, say } = options;
  const store = stack.use(await openLabStore(options.s3, say));
  let s3Link: Relay | undefined;
  const network = stack.use(
    await openLabNetwork(dir, async (address) => {
      s3Link = await store.listen(address);
      return portOf(s3Link.address);
    }),
  );
  if (s3Link === undefined) throw new Error('The network has not asked for S3');
  const tlsDir = join(dir, 'tls');
  mkdirSync(tlsDir, { recursive: true });
  const authorities = new Map(LAB_CLUSTERS.map(({ zone }) => [zone, authorityIn(tlsDir, zone)] as const));
  const parts: Parts = { options, network, authorities, ca: of(authorities, 'trusted').file };
  const tokens = writeTokens(dir);
  const redis = stack.use(await startRedis({ args: REDIS_ARGS }));
  const { bucket, prefix, credentials, region } = store.config;
  if (credentials.kind !== 'static') throw new Error('The bucket of the laboratory has a fixed key');
  const at = ['--s3-endpoint', `http://${S3_NAME}:${portOf(s3Link.address)}`, '--s3-bucket', bucket, '--s3-region', region];
  const under = prefix === '' ? [] : ['--s3-prefix', prefix.replace(/\/$/, '')];
  const bucketArgs = ['--store', 's3', '--store-index', 'redis', ...at, ...under, '--s3-access-key-id', credentials.accessKeyId];
  const env = { SWITCHYARD_CACHE_S3_SECRET_ACCESS_KEY: credentials.secretAccessKey.reveal() };
  const coordinators: CoordinatorMember[] = [];
  for (const name of COORDINATORS) coordinators.push(stack.use(await coordinatorOf(name, parts, { redis, bucketArgs, env })));
  const agents = LAB_CLUSTERS.flatMap((cluster) => agentsOf(cluster).map((name) => stack.use(agentOf(name, cluster, parts))));
  const kept = stack.move();
  const addresses = coordinators.map(({ address }) => address);
  const caller = { SWITCHYARD_SERVER: placesOf(COORDINATORS), SWITCHYARD_TOKEN_FILE: join(dir, 'token-main'), SWITCHYARD_TLS_CA: parts.ca };
  return {
    token: tokens.main,
    coordinators,
    agents,
    redis,
    redisPair: undefined,
    blobsDisk: undefined,
    lab: network.net,
    network,
    storeName: store.name,
    s3Link,
    addresses,
    tls: { source: clientOf(parts.ca), serverName: YARD_NAME },
    tokens,
    intruder(plan) {
      const { name, as, by } = plan;
      return kept.use(network.spawn(as.name, agentCommand(plan, as, of(authorities, by), parts), { name }));
    },
    async run(args, cwd) {
      await using process = network.spawn(CALLERS_HOST, [...PROGRAM, ...args], { env: caller, cwd });
      const ended = await process.ended;
      return { ...ended, stdout: process.stdout(), stderr: process.stderr() };
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

function writeTokens(dir: string): Readonly<Record<CallerName, Secret>> {
  const made = { main: randomBytes(32).toString('hex'), fork: randomBytes(32).toString('hex') };
  const names = ['main', 'fork'] as const;
  const entries = names.map((name) => ({ name, sha256: hashToken(made[name]), kind: 'caller', project: 'shop', ...CALLERS[name] }));
  writeFileSync(join(dir, 'tokens.json'), JSON.stringify(entries), { mode: 0o600 });
  for (const name of names) writeFileSync(join(dir, `token-${name}`), made[name], { mode: 0o600 });
  return { main: new Secret(made.main), fork: new Secret(made.fork) };
}

type Shared = { readonly redis: RedisServer; readonly bucketArgs: readonly string[]; readonly env: Readonly<Record<string, string>> };

async function coordinatorOf(name: CoordinatorName, parts: Parts, { redis, bucketArgs, env }: Shared): Promise<CoordinatorMember> {
  const { options, network, authorities, ca } = parts;
  const { dir, leaseTtlMs, termTtlMs } = options;
  const host = network.net.address(name);
  const redisLink = await startRelay(redis.address, `${network.net.address('test')}:0`);
  const [address, knownAs] = [`${host}:${PORTS.control}`, `${nameOf(name)}:${PORTS.control}`];
  const own = writeCertificate(join(dir, 'tls'), name, certificateBy(of(authorities, 'trusted'), { hosts: [nameOf(name), YARD_NAME] }));
  const args = [
    ...['coordinator', '--listen', address, '--data-listen', `${host}:${PORTS.data}`, '--state-dir', join(dir, name)],
    ...['--address', knownAs, '--data-address', `${nameOf(name)}:${PORTS.data}`, '--tokens-file', join(dir, 'tokens.json')],
    ...['--tls-cert', own.cert, '--tls-key', own.key, '--tls-ca', ca, '--signing-key-file', join(dir, 'signing-key.pem')],
    ...[...authorities].flatMap(([zone, { file }]) => ['--zone-ca', `${zone}=${file}`]),
    ...['--ledger', 'redis', '--redis-url', `redis://${redisLink.address}`, '--redis-durability', 'fsync', '--term-ttl', `${termTtlMs}ms`],
    ...['--lease-ttl', `${leaseTtlMs}ms`, '--heartbeat', `${Math.floor(leaseTtlMs / 3)}ms`, '--retention', `${options.retentionMs}ms`],
    ...['--cache-bytes', '512Mi', ...bucketArgs],
  ];
  const member = startMember(name, () => network.spawn(name, [...PROGRAM, ...args], { name, env }));
  return withParts(member, { address, knownAs, agentLink: undefined, redisLink }, [redisLink]);
}

type AgentPlan = Pick<Intruder, 'name' | 'id' | 'lifeMs'>;

function agentCommand(
  plan: AgentPlan,
  { zone, name: cluster, pool, slots }: LabCluster,
  by: TestAuthority,
  parts: Parts,
): readonly string[] {
  const { name, id = name, lifeMs } = plan;
  const { options, ca } = parts;
  const own = certificateBy(by, { agent: { zone, cluster, pool, id: name }, ...(lifeMs === undefined ? {} : { lifeMs }) });
  const { cert, key } = writeCertificate(join(options.dir, 'tls'), name, own);
  return [
    ...[...PROGRAM, 'agent', '--coordinator', placesOf(COORDINATORS), '--id', id, '--work-dir', join(options.dir, name)],
    ...['--tls-ca', ca, '--tls-cert', cert, '--tls-key', key, '--sandbox', 'process', '--slots', String(slots), '--cpu', String(slots)],
    ...['--cache-size', '32Mi', '--spool-size', '32Mi', '--drain-timeout', '20s'],
  ];
}

function agentOf(name: string, cluster: LabCluster, parts: Parts): AgentMember {
  const command = agentCommand({ name }, cluster, of(parts.authorities, cluster.zone), parts);
  const member = startMember(name, () => parts.network.spawn(cluster.name, command, { name }));
  return withParts(member, { workDir: join(parts.options.dir, name), disk: undefined }, []);
}

function of(authorities: ReadonlyMap<Zone, TestAuthority>, zone: Zone): TestAuthority {
  const found = authorities.get(zone);
  if (found === undefined) throw new Error(`${DOMAIN} has no authority of the zone ${zone}`);
  return found;
}

function placesOf(coordinators: readonly CoordinatorName[]): string {
  return coordinators.map((name) => `${nameOf(name)}:${PORTS.control}`).join(',');
}

function portOf(address: string): number {
  return Number(address.slice(address.lastIndexOf(':') + 1));
}
