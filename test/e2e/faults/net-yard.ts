import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { hashToken } from '../../../base/auth.ts';
import { Secret } from '../../../base/secret.ts';
import type { BuildSnapshot } from '../../../cli/build-view.ts';
import { connectBuildServer, type BuildServer } from '../../../cli/rpc/client.ts';
import type { StepSpec } from '../../../proto/gen/switchyard/v1/StepSpec.ts';
import { startNetLab, type NetLab } from '../../fixtures/netns.ts';
import { redisProgram } from '../../fixtures/redis-tools.ts';
import { ROOT } from '../../fixtures/root.ts';
import { startProcess, type RunningProcess } from '../../fixtures/run-process.ts';
import { tempDir } from '../../fixtures/temp-dir.ts';
import { until } from '../../fixtures/until.ts';
import { requestOf } from './fault-yard.ts';

export type CoordinatorHost = 'one' | 'two';
export const COORDINATOR_HOSTS: readonly CoordinatorHost[] = ['one', 'two'];

/** Redis, two coordinators and an agent, each on a host of its own: `redis`, `one`, `two` and `agent`. */
export interface NetYard extends AsyncDisposable {
  readonly lab: NetLab;
  readonly dir: string;
  /** The agent's. */
  readonly workDir: string;
  serverOf(host: CoordinatorHost): BuildServer;
  /** Who leads, as the logs of the two say. */
  leader(): CoordinatorHost;
  /** Redis as the test reaches it, whatever happens between other hosts. */
  readonly redis: Redis;
  submit(key: string, steps: readonly StepSpec[]): Promise<string>;
  snapshot(build: string): Promise<BuildSnapshot>;
  /** The build at its end. */
  end(build: string): Promise<BuildSnapshot>;
  running(build: string): Promise<void>;
  /** The newest log of a step, whole. */
  log(build: string, step: string): Promise<Buffer>;
}

export type NetYardOptions = {
  readonly leaseMs: number;
  readonly termMs: number;
  /** An offer that is not accepted in time is made again, and a pure step may have begun by then. */
  readonly offerMs: number;
};

const TOKEN = 'caller-token-of-the-network-tests';
const AGENT_TOKEN = 'agent-token-of-the-network-tests';
const CALL_MS = 5_000;
const LOG_MS = 20_000;

/** Starts it; ready when the agent is registered. */
export async function startNetYard({ leaseMs, termMs, offerMs }: NetYardOptions): Promise<NetYard> {
  await using stack = new AsyncDisposableStack();
  const dir = stack.use(await tempDir());
  const lab = stack.use(startNetLab(['redis', ...COORDINATOR_HOSTS, 'agent']));
  const tokens = writeTokens(dir.path);
  const program = await redisProgram();
  const redisArgs = ['--bind', lab.address('redis'), '--port', '6379', '--protected-mode', 'no', '--save', '', '--dir', dir.path];
  stack.use(startProcess([...lab.prefix('redis'), program.path, ...redisArgs], { cwd: dir.path, env: program.env }));
  const redis = stack.adopt(new Redis({ host: lab.address('redis'), port: 6379, protocol: 2 }), (client) => client.disconnect());
  redis.on('error', () => {}); // commands tell
  const on = (host: string, ...args: readonly string[]) => {
    mkdirSync(join(dir.path, host), { recursive: true });
    return stack.use(startProcess([...lab.prefix(host), process.execPath, join(ROOT, 'bin/switchyard.js'), ...args], { cwd: dir.path }));
  };
  const coordinators = new Map(
    COORDINATOR_HOSTS.map((host) => {
      const at = lab.address(host);
      const own = [
        '--insecure',
        '--listen',
        `${at}:7410`,
        '--data-listen',
        `${at}:7411`,
        '--state-dir',
        join(dir.path, host),
        '--tokens-file',
        tokens,
      ];
      const shared = ['--ledger', 'redis', '--redis-url', `redis://${lab.address('redis')}:6379`, '--blobs-dir', join(dir.path, 'blobs')];
      const times = [
        '--lease-ttl',
        `${leaseMs}ms`,
        '--heartbeat',
        `${leaseMs / 3}ms`,
        '--term-ttl',
        `${termMs}ms`,
        '--offer-ttl',
        `${offerMs}ms`,
      ];
      return [host, on(host, 'coordinator', ...own, ...shared, ...times)] as const;
    }),
  );
  const addresses = COORDINATOR_HOSTS.map((host) => `${lab.address(host)}:7410`);
  const workDir = join(dir.path, 'agent');
  const agentArgs = ['--id', 'agent', '--work-dir', workDir, '--sandbox', 'process', '--slots', '2'];
  on('agent', 'agent', '--insecure', '--coordinator', addresses.join(','), '--token-file', join(dir.path, 'agent-token'), ...agentArgs);
  const [one, two] = addresses.map((address) => stack.use(connectBuildServer({ address, token: new Secret(TOKEN) })));
  if (one === undefined || two === undefined) throw new Error('There are two coordinators');
  await until('the agent is there', async () => (await one.agents(AbortSignal.timeout(2_000))).agents[0]?.connected);
  const kept = stack.move();
  return {
    lab,
    dir: dir.path,
    workDir,
    redis,
    serverOf: (host) => (host === 'one' ? one : two),
    leader: () => leaderAmong(coordinators),
    ...callsOf([one, two]),
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

function writeTokens(dir: string): string {
  const tokens = join(dir, 'tokens.json');
  const caller = { name: 'test', kind: 'caller', role: 'admin', project: 'web', scope: 'main', zoneCeiling: 'trusted' };
  const agent = { name: 'agents', kind: 'agent', cluster: 'local', pool: 'default', zone: 'trusted' };
  const entries = [
    { ...caller, sha256: hashToken(TOKEN) },
    { ...agent, sha256: hashToken(AGENT_TOKEN) },
  ];
  writeFileSync(tokens, JSON.stringify(entries));
  writeFileSync(join(dir, 'agent-token'), AGENT_TOKEN);
  return tokens;
}

/** What callers do who may ask either of the two. */
function callsOf(servers: readonly BuildServer[]): Pick<NetYard, 'submit' | 'snapshot' | 'end' | 'running' | 'log'> {
  const ask = <T>(use: (server: BuildServer) => Promise<T>) =>
    until('somebody answers', async () => ({ answer: await Promise.any(servers.map((server) => use(server))) })).then(
      ({ answer }) => answer,
    );
  const snapshot = (build: string) => ask((server) => server.snapshot(build, AbortSignal.timeout(CALL_MS)));
  return {
    submit: (key, steps) => ask(async (server) => (await server.submit(requestOf(key, steps), AbortSignal.timeout(CALL_MS))).id),
    snapshot,
    end: (build) =>
      until(`${build} ends`, async () => {
        const seen = await snapshot(build);
        return seen.build.phase === 'ended' && seen;
      }),
    running: (build) => until('it runs', async () => (await snapshot(build)).steps[0]?.startedAtMs !== undefined).then(() => undefined),
    log: (build, step) =>
      ask(async (server) => {
        const pieces: Uint8Array[] = [];
        const query = { build, step, attempt: 0, offset: 0, follow: true };
        for await (const { data } of server.log(query, AbortSignal.timeout(LOG_MS))) pieces.push(Uint8Array.from(data));
        return Buffer.concat(pieces);
      }),
  };
}

function leaderAmong(coordinators: ReadonlyMap<CoordinatorHost, RunningProcess>): CoordinatorHost {
  const termOf = (host: CoordinatorHost) =>
    Number([...(coordinators.get(host)?.stderr() ?? '').matchAll(/"term":(\d+),"recoveredInMs"/g)].at(-1)?.[1] ?? 0);
  return termOf('one') > termOf('two') ? 'one' : 'two';
}
