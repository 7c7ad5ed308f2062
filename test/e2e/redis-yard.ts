import { randomBytes } from 'node:crypto';
import { cp, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { present } from '../../base/assert.ts';
import { connectBuildServer, type BuildServer } from '../../cli/rpc/client.ts';
import { callUnary, dial } from '../../proto/dial.ts';
import type { GetServerResponse__Output } from '../../proto/gen/switchyard/v1/GetServerResponse.ts';
import { loadProto } from '../../proto/load.ts';
import type { FakeS3 } from '../fixtures/fake-s3.ts';
import { freePorts } from '../fixtures/ports.ts';
import { ROOT } from '../fixtures/root.ts';
import { startRedis, type RedisServer } from '../fixtures/redis.ts';
import { startSwitchyard, type RunningProcess } from '../fixtures/run-process.ts';
import { tempDir } from '../fixtures/temp-dir.ts';
import { until } from '../fixtures/until.ts';

const never = new AbortController().signal;

/** One of several coordinators; the process may be ended and started again on the same ports. */
export interface Member {
  readonly address: string;
  readonly probes: string;
  readonly process: RunningProcess;
  /** What it says of itself and of who leads; fails where it does not answer. */
  ask(): Promise<GetServerResponse__Output>;
  /** Starts it again; `bare` removes its state directory first. Ready when this returns. */
  start(options?: { readonly bare?: boolean }): Promise<void>;
  /** Ends it by the signal and waits for that. */
  end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void>;
}

/** Coordinators on one Redis and one store of blobs, and agents that know all of them; each a process of its own. */
export interface RedisYard extends AsyncDisposable {
  readonly dir: string;
  /** An empty directory for pipeline files. */
  readonly work: string;
  readonly redis: RedisServer;
  readonly members: readonly Member[];
  /** A connection that goes on at another coordinator when one goes away. */
  readonly server: BuildServer;
  /** Arguments that lead any command to this yard. */
  readonly at: readonly string[];
  agent(name: string): RunningProcess;
  /** The member that leads, once all that answer agree. */
  leader(): Promise<Member>;
  /** Options of one more coordinator of this yard. */
  argsOf(name: string, ports: readonly number[], blobsDir?: string): readonly string[];
}

export type RedisYardOptions = {
  readonly coordinators: number;
  readonly agents: Readonly<Record<string, number>>;
  readonly coordinatorArgs?: readonly string[];
  /** By how much the wall clock of each coordinator's host is off. @default 0 */
  readonly skewsMs?: readonly number[];
  /** Each coordinator as on a host of its own, with this bucket for all of them. @default they share a directory */
  readonly bucket?: FakeS3;
};

/** Starts it; `agents` gives each agent's slots. Ready when one leads and all agents are registered. */
export async function startRedisYard(options: RedisYardOptions): Promise<RedisYard> {
  await using stack = new AsyncDisposableStack();
  const dir = stack.use(await tempDir());
  const work = join(dir.path, 'work');
  const blobs = join(dir.path, 'blobs');
  await mkdir(work);
  const redis = stack.use(await startRedis({ args: ['--appendonly', 'yes'] }));
  await mkdir(blobs);
  await writeFile(join(blobs, 'agent-token'), randomBytes(32).toString('hex'), { mode: 0o600 });
  const { bucket } = options;
  const blobsOf = (name: string) => (bucket === undefined ? blobs : join(dir.path, name, 'blobs'));
  const argsOf = (name: string, [port, dataPort, probePort]: readonly number[], blobsDir = blobsOf(name)) => [
    ...['coordinator', '--ledger', 'redis', '--redis-url', redis.url, '--blobs-dir', blobsDir, '--state-dir', join(dir.path, name)],
    ...['--listen', `127.0.0.1:${port}`, '--data-listen', `127.0.0.1:${dataPort}`, '--metrics-listen', `127.0.0.1:${probePort}`],
    ...(bucket === undefined ? [] : [...inBucket(bucket), '--signing-key-file', join(dir.path, 'signing-key.pem')]),
    ...(options.coordinatorArgs ?? []),
  ];
  const secret = bucket === undefined ? {} : { SWITCHYARD_CACHE_S3_SECRET_ACCESS_KEY: bucket.traits.keys.secretAccessKey };
  const members: Member[] = [];
  for (let index = 1; index <= options.coordinators; index += 1) {
    const skewMs = options.skewsMs?.[index - 1] ?? 0;
    const plan = { name: `coordinator-${index}`, dir: dir.path, env: { ...secret, ...(skewMs === 0 ? {} : skewedBy(skewMs)) } };
    if (bucket !== undefined) await cp(join(blobs, 'agent-token'), join(blobsOf(plan.name), 'agent-token'));
    members.push(await startMember(plan, argsOf, stack));
  }
  const addresses = members.map((member) => member.address).join(',');
  const agents = new Map<string, RunningProcess>();
  for (const [name, slots] of Object.entries(options.agents)) {
    const own = ['agent', '--coordinator', addresses, '--id', name, '--label', `name=${name}`, '--slots', String(slots), '--cpu', '100'];
    const files = ['--work-dir', join(dir.path, name), '--token-file', join(blobs, 'agent-token'), '--sandbox', 'process'];
    agents.set(name, stack.use(startSwitchyard([...own, ...files], { cwd: dir.path })));
  }
  await Promise.all([...agents.values()].map((agent) => agent.ready()));
  const server = stack.use(connectBuildServer({ address: addresses, token: undefined }));
  const kept = stack.move();
  return {
    dir: dir.path,
    work,
    redis,
    members,
    server,
    at: ['--server', addresses],
    agent: (name) => present(agents.get(name), `the yard has an agent ${name}`),
    leader: () => leaderOf(members),
    argsOf,
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** The environment of a host whose wall clock is off: all processes that are started there have the same time. */
export function skewedBy(ms: number): Readonly<Record<string, string>> {
  return { NODE_OPTIONS: `--import ${join(ROOT, 'test/fixtures/skew-clock.ts')}`, SKEW_MS: String(ms) };
}

function inBucket({ endpoint, bucket, traits }: FakeS3): readonly string[] {
  const of = ['--s3-endpoint', endpoint, '--s3-bucket', bucket, '--s3-access-key-id', traits.keys.accessKeyId];
  return ['--store', 's3', '--store-index', 'redis', ...of];
}

type MemberPlan = { readonly name: string; readonly dir: string; readonly env: Readonly<Record<string, string>> };

async function startMember({ name, dir, env }: MemberPlan, argsOf: RedisYard['argsOf'], stack: AsyncDisposableStack): Promise<Member> {
  const ports = await freePorts(3);
  const address = `127.0.0.1:${ports[0]}`;
  let current: RunningProcess | undefined;
  const running = () => present(current, 'the member was started');
  const start = async ({ bare = false } = {}) => {
    await current?.[Symbol.asyncDispose]();
    if (bare) await rm(join(dir, name), { recursive: true, force: true });
    current = startSwitchyard(argsOf(name, ports), { cwd: dir, env });
    await current.ready();
  };
  stack.defer(async () => {
    await current?.[Symbol.asyncDispose]();
  });
  await start();
  const client = dial(loadProto().switchyard.v1.Build, { address, token: undefined }, 'control');
  stack.defer(() => client.close());
  return {
    address,
    probes: `http://127.0.0.1:${ports[2]}`,
    get process() {
      return running();
    },
    ask: () => callUnary(client, 'getServer', {}, { signal: never, deadlineMs: 2_000 }),
    start,
    async end(signal) {
      running().kill(signal);
      await running().ended;
    },
  };
}

function leaderOf(members: readonly Member[]): Promise<Member> {
  return until('all coordinators agree on who leads', async () => {
    const said = await Promise.all(members.map((member) => member.ask().catch(() => undefined)));
    const addresses = new Set(said.flatMap((answer) => (answer === undefined ? [] : [answer.leaderAddress])));
    const leading = members.filter((_, index) => said[index]?.coordinatorRole === 'COORDINATOR_ROLE_LEADING');
    return addresses.size === 1 && leading.length === 1 && addresses.has(leading[0]?.address ?? '') && leading[0];
  });
}
