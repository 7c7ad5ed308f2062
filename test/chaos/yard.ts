import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { hashToken } from '../../base/auth.ts';
import { Secret } from '../../base/secret.ts';
import { freePorts } from '../fixtures/ports.ts';
import { startRedis, type RedisServer } from '../fixtures/redis.ts';
import { startNetLab, type NetLab } from '../fixtures/netns.ts';
import { startRelay, type Relay } from '../fixtures/relay.ts';
import { ROOT } from '../fixtures/root.ts';
import { startProcess } from '../fixtures/run-process.ts';
import { mountSmallDisk, type SmallDisk } from './disk.ts';
import { startMember, type Member } from './member.ts';
import { startRedisPair, type RedisPair } from './redis-pair.ts';

export type YardOptions = {
  /** A new directory, in which everything is. */
  readonly dir: string;
  readonly agents: number;
  readonly coordinators: number;
  /** With `sqlite` there is one coordinator. */
  readonly ledger: 'sqlite' | 'redis';
  readonly leaseTtlMs: number;
  readonly termTtlMs: number;
  /** How long an ended build is kept. */
  readonly retentionMs: number;
  /** Whether agents and blobs are on small disks of their own. */
  readonly smallDisks: boolean;
  /** Whether Redis has a replica to fail over to. @default false */
  readonly replica?: boolean;
  /**
   * Whether coordinators and agents are on network hosts of their own. Redis, clients and relays are on the test's, so what is
   * dropped of one host's packets cuts it off from all of them. @default false
   */
  readonly net?: boolean;
};

export type CoordinatorMember = Member & {
  /** Where callers of the run connect, with no relay between. */
  readonly address: string;
  /** Where agents and the other coordinators reach it; the ledger names the leader so. */
  readonly knownAs: string;
  /** Between agents and it, and between followers and it, where faults cut there. */
  readonly agentLink: Relay | undefined;
  readonly redisLink: Relay | undefined;
};

export type AgentMember = Member & { readonly workDir: string; readonly disk: SmallDisk | undefined };

/** Redis, coordinators and agents as real processes, with a relay in every link that faults cut. */
export interface Yard extends AsyncDisposable {
  readonly token: Secret;
  readonly coordinators: readonly CoordinatorMember[];
  readonly agents: readonly AgentMember[];
  readonly redis: RedisServer | undefined;
  /** `redis` again, where it has a replica. */
  readonly redisPair: RedisPair | undefined;
  readonly blobsDisk: SmallDisk | undefined;
  /** Its hosts have the names of coordinators and agents. */
  readonly lab: NetLab | undefined;
}

/** Room for the workload's inputs and journals, and little enough to be filled in a moment. */
const AGENT_DISK_BYTES = 192 * 1024 * 1024;
const BLOBS_DISK_BYTES = 768 * 1024 * 1024;
const CACHE_BYTES = 512 * 1024 * 1024;
const SLOTS = 3;
/** What was answered is on the disk, so that a kill -9 may lose nothing. */
const REDIS_ARGS = ['--appendonly', 'yes', '--appendfsync', 'always', '--auto-aof-rewrite-min-size', '16mb'];

/** Starts all of it. Nobody waits for it to be ready: clients find out, as they do in life. */
export async function startYard(options: YardOptions): Promise<Yard> {
  await using stack = new AsyncDisposableStack();
  const { dir } = options;
  const names = (word: string, count: number) => Array.from({ length: count }, (_, index) => `${word}-${index + 1}`);
  const [coordinatorNames, agentNames] = [names('coordinator', options.coordinators), names('agent', options.agents)];
  const lab = options.net === true ? stack.use(startNetLab([...coordinatorNames, ...agentNames])) : undefined;
  const token = new Secret(randomBytes(32).toString('hex'));
  const agentToken = randomBytes(32).toString('hex');
  const files = writeTokens(dir, token, agentToken);
  const redisPair = options.ledger === 'redis' && options.replica === true ? stack.use(await startRedisPair(REDIS_ARGS)) : undefined;
  const single = options.ledger === 'redis' && redisPair === undefined ? stack.use(await startRedis({ args: REDIS_ARGS })) : undefined;
  const redis = redisPair ?? single;
  const blobsDisk = redis !== undefined && options.smallDisks ? stack.use(mountSmallDisk(join(dir, 'blobs'), BLOBS_DISK_BYTES)) : undefined;
  const coordinators: CoordinatorMember[] = [];
  for (const name of coordinatorNames) coordinators.push(stack.use(await coordinatorOf(name, { options, files, redis, lab })));
  const addresses = coordinators.map(({ knownAs }) => knownAs).join(',');
  const agents = agentNames.map((name) => stack.use(agentOf(name, { options, files, addresses, lab })));
  const parts = stack.move();
  return { token, coordinators, agents, redis, redisPair, blobsDisk, lab, [Symbol.asyncDispose]: () => parts.disposeAsync() };
}

type Files = { readonly tokens: string; readonly agentToken: string };

function writeTokens(dir: string, token: Secret, agentToken: string): Files {
  const files = { tokens: join(dir, 'tokens.json'), agentToken: join(dir, 'agent-token') };
  const caller = { name: 'chaos', kind: 'caller', role: 'admin', project: 'chaos', scope: 'main', zoneCeiling: 'trusted' };
  const agent = { name: 'agents', kind: 'agent', cluster: 'local', pool: 'default', zone: 'trusted' };
  const entries = [
    { ...caller, sha256: hashToken(token.reveal()) },
    { ...agent, sha256: hashToken(agentToken) },
  ];
  writeFileSync(files.tokens, JSON.stringify(entries), { mode: 0o600 });
  writeFileSync(files.agentToken, agentToken, { mode: 0o600 });
  return files;
}

type Plan = { readonly options: YardOptions; readonly files: Files; readonly lab: NetLab | undefined };
type CoordinatorPlan = Plan & { readonly redis: RedisServer | undefined };

async function coordinatorOf(name: string, { options, files, redis, lab }: CoordinatorPlan): Promise<CoordinatorMember> {
  const [port, dataPort] = await freePorts(2);
  const host = lab?.address(name) ?? '127.0.0.1';
  const [address, dataAddress] = [`${host}:${port}`, `${host}:${dataPort}`];
  const relayAt = `${lab?.address('test') ?? '127.0.0.1'}:0`;
  const agentLink = await startRelay(address, relayAt);
  const redisLink = redis === undefined ? undefined : await startRelay(redis.address, relayAt);
  const { leaseTtlMs, termTtlMs } = options;
  const args = ['coordinator', '--insecure', '--listen', address, '--data-listen', dataAddress, '--state-dir', join(options.dir, name)];
  args.push('--tokens-file', files.tokens, '--cache-bytes', String(CACHE_BYTES));
  args.push('--lease-ttl', `${leaseTtlMs}ms`, '--heartbeat', `${Math.floor(leaseTtlMs / 3)}ms`, '--retention', `${options.retentionMs}ms`);
  if (redisLink !== undefined) {
    args.push('--ledger', 'redis', '--redis-url', `redis://${redisLink.address}`, '--redis-durability', 'fsync');
    args.push('--address', agentLink.address, '--blobs-dir', join(options.dir, 'blobs'), '--term-ttl', `${termTtlMs}ms`);
  }
  const member = startMember(name, () => spawn(options.dir, name, args, lab));
  return withParts(member, { address, knownAs: agentLink.address, agentLink, redisLink }, [agentLink, redisLink]);
}

function agentOf(name: string, plan: Plan & { readonly addresses: string }): AgentMember {
  const { dir, smallDisks } = plan.options;
  const workDir = join(dir, name);
  const disk = smallDisks ? mountSmallDisk(workDir, AGENT_DISK_BYTES) : undefined;
  const args = [
    'agent',
    '--insecure',
    '--coordinator',
    plan.addresses,
    '--id',
    name,
    '--token-file',
    plan.files.agentToken,
    '--work-dir',
    workDir,
  ];
  args.push('--sandbox', 'process', '--slots', String(SLOTS), '--cpu', String(SLOTS), '--cache-size', '32Mi', '--spool-size', '32Mi');
  args.push('--drain-timeout', '20s');
  const member = startMember(name, () => spawn(dir, name, args, plan.lab));
  return withParts(member, { workDir, disk }, [disk]);
}

function spawn(dir: string, name: string, args: readonly string[], lab: NetLab | undefined) {
  const outputDir = join(dir, 'logs', name);
  mkdirSync(outputDir, { recursive: true });
  const command = [process.execPath, join(ROOT, 'bin/switchyard.js'), ...args];
  return startProcess([...(lab?.prefix(name) ?? []), ...command], { cwd: dir, outputDir });
}

/** A member with more to it, that goes with it. */
export function withParts<P extends object>(member: Member, more: P, parts: readonly (AsyncDisposable | undefined)[]): Member & P {
  const own: Member = {
    name: member.name,
    falls: member.falls,
    get process() {
      return member.process;
    },
    get up() {
      return member.up;
    },
    down: (signal) => member.down(signal),
    start: () => member.start(),
    async [Symbol.asyncDispose]() {
      await member[Symbol.asyncDispose]();
      for (const part of parts) await part?.[Symbol.asyncDispose]();
    },
  };
  return Object.assign(own, more);
}

/** Who leads, as the ledger has it; undefined where that says nothing in time. */
export async function leaderOf({ redis, coordinators }: Pick<Yard, 'redis' | 'coordinators'>): Promise<CoordinatorMember | undefined> {
  if (redis === undefined) return coordinators[0];
  const asked = redis.command('HMGET', '{switchyard}:meta', 'address').catch(() => undefined);
  const answer = await Promise.race([asked, sleep(1_000)]);
  const address: unknown = Array.isArray(answer) ? answer[0] : undefined;
  return coordinators.find(({ knownAs }) => knownAs === address);
}
