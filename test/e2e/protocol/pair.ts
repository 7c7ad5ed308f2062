import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { hashToken } from '../../../base/auth.ts';
import { Secret } from '../../../base/secret.ts';
import { connectBuildServer, type BuildServer } from '../../../cli/rpc/client.ts';
import { callUnary, dial } from '../../../proto/dial.ts';
import { loadProto } from '../../../proto/load.ts';
import { readAgentJournal, type JournalLine } from '../../fixtures/agent-journal.ts';
import { freePorts } from '../../fixtures/ports.ts';
import { startRedis, type RedisServer } from '../../fixtures/redis.ts';
import { startNode, startSwitchyard, type RunningProcess } from '../../fixtures/run-process.ts';
import { tempDir } from '../../fixtures/temp-dir.ts';
import { until } from '../../fixtures/until.ts';

/** Two coordinators on one Redis, agents that know both, and a command line that does too. */
export interface Pair extends AsyncDisposable {
  readonly dir: string;
  readonly redis: RedisServer;
  readonly addresses: readonly string[];
  /** Both addresses as options take them. */
  readonly all: string;
  readonly server: BuildServer;
  readonly coordinators: readonly RunningProcess[];
  /** The index of the one that leads. */
  leader(): Promise<number>;
  agent(name: string, slots: number, coordinator?: string): RunningProcess;
  journal(name: string): readonly JournalLine[];
  /** Runs a command of the command line in the work directory, on both coordinators unless `at` says otherwise. */
  command(args: readonly string[], at?: string): RunningProcess;
  /** Kills it with its data plane, as when its host goes, and starts nothing in its place. */
  kill(index: number): Promise<void>;
}

const never = new AbortController().signal;
const CALLER = 'caller-token-of-a-test';
const AGENT = 'agent-token-of-a-test';

/** Ready when one leads. Nothing is as a user would notice it: the default timings are in force unless `args` say otherwise. */
export async function startPair(args: readonly string[] = []): Promise<Pair> {
  await using stack = new AsyncDisposableStack();
  const dir = stack.use(await tempDir());
  const redis = stack.use(await startRedis());
  const ports = await freePorts(4);
  const tokens = writeTokens(dir.path);
  const addresses = [`127.0.0.1:${ports[0]}`, `127.0.0.1:${ports[1]}`];
  const kept: RunningProcess[] = [];
  stack.defer(async () => {
    await Promise.all(kept.map((process) => process[Symbol.asyncDispose]()));
  });
  const coordinators = addresses.map((address, index) => {
    const own = ['coordinator', '--listen', address, '--address', address, '--data-listen', `127.0.0.1:${ports[2 + index]}`];
    const files = ['--state-dir', join(dir.path, `coordinator-${index}`), '--tokens-file', tokens.file];
    const shared = ['--ledger', 'redis', '--redis-url', redis.url, '--blobs-dir', join(dir.path, 'blobs')];
    const process = startSwitchyard([...own, ...files, ...shared, ...args], { cwd: dir.path });
    kept.push(process);
    return process;
  });
  await Promise.all(coordinators.map((coordinator) => coordinator.ready()));
  const all = addresses.join(',');
  const server = stack.use(connectBuildServer({ address: all, token: new Secret(CALLER) }));
  const work = join(dir.path, 'work');
  mkdirSync(work);
  const parts = stack.move();
  const pair: Pair = {
    dir: dir.path,
    redis,
    addresses,
    all,
    server,
    coordinators,
    async leader() {
      const index = await until('somebody leads', () => leaderOf(addresses));
      return index - 1;
    },
    agent(name, slots, coordinator = all) {
      const own = ['agent/main.ts', '--coordinator', coordinator, '--id', name, '--token-file', tokens.agent, '--sandbox', 'process'];
      const agent = startNode([...own, '--work-dir', join(dir.path, name), '--slots', String(slots), '--cpu', '100']);
      kept.push(agent);
      return agent;
    },
    journal: (name) => readAgentJournal(join(dir.path, name)),
    command(words, at = all) {
      const process = startSwitchyard([...words, '--server', at], { cwd: work, env: { SWITCHYARD_TOKEN: CALLER } });
      kept.push(process);
      return process;
    },
    async kill(index) {
      coordinators[index]?.kill('SIGKILL');
      await coordinators[index]?.ended;
    },
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  };
  await until('the pair answers', () => server.agents(never));
  return pair;
}

/** The number, from 1, of the coordinator that says of itself that it leads. */
async function leaderOf(addresses: readonly string[]): Promise<number | undefined> {
  for (const [index, address] of addresses.entries()) {
    const client = dial(loadProto().switchyard.v1.Build, { address, token: new Secret(CALLER) }, 'control');
    try {
      const { leaderAddress } = await callUnary(client, 'getServer', {}, { signal: never, deadlineMs: 5_000 });
      if (leaderAddress === address) return index + 1;
    } catch {
      // it is away: then another one may lead
    } finally {
      client.close();
    }
  }
  return undefined;
}

function writeTokens(dir: string): { readonly file: string; readonly agent: string } {
  const files = { file: join(dir, 'tokens.json'), agent: join(dir, 'agent-token') };
  const caller = { name: 'test', kind: 'caller', role: 'admin', project: 'test', scope: 'main', zoneCeiling: 'trusted' };
  const agent = { name: 'agents', kind: 'agent', cluster: 'local', pool: 'default', zone: 'trusted' };
  const entries = [
    { ...caller, sha256: hashToken(CALLER) },
    { ...agent, sha256: hashToken(AGENT) },
  ];
  writeFileSync(files.file, JSON.stringify(entries), { mode: 0o600 });
  writeFileSync(files.agent, AGENT, { mode: 0o600 });
  return files;
}
