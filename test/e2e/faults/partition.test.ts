import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test, describe } from 'vitest';
import { hashToken } from '../../../base/auth.ts';
import { Secret } from '../../../base/secret.ts';
import { connectBuildServer, type BuildServer } from '../../../cli/rpc/client.ts';
import { needs } from '../../fixtures/host.ts';
import { startNetLab, type NetLab } from '../../fixtures/netns.ts';
import { redisProgram } from '../../fixtures/redis-tools.ts';
import { ROOT } from '../../fixtures/root.ts';
import { startProcess, type RunningProcess } from '../../fixtures/run-process.ts';
import { tempDir } from '../../fixtures/temp-dir.ts';
import { until } from '../../fixtures/until.ts';
import { gated, PATIENCE_MS, requestOf, stepThat } from './fault-yard.ts';

const LEASE_MS = 4_500;
const TERM_MS = 1_500;

/** Redis, two coordinators and an agent, each on a host of its own. */
async function startLab(): Promise<
  AsyncDisposable & { lab: NetLab; dir: string; servers: readonly BuildServer[]; coordinators: readonly RunningProcess[] }
> {
  await using stack = new AsyncDisposableStack();
  const dir = stack.use(await tempDir());
  const lab = stack.use(startNetLab(['redis', 'one', 'two', 'agent']));
  const token = 'caller-token-of-the-partition-test';
  const agentToken = 'agent-token-of-the-partition-test';
  const tokens = join(dir.path, 'tokens.json');
  const caller = {
    name: 'test',
    kind: 'caller',
    role: 'admin',
    project: 'web',
    scope: 'main',
    zoneCeiling: 'trusted',
    sha256: hashToken(token),
  };
  const agent = { name: 'agents', kind: 'agent', cluster: 'local', pool: 'default', zone: 'trusted', sha256: hashToken(agentToken) };
  writeFileSync(tokens, JSON.stringify([caller, agent]));
  writeFileSync(join(dir.path, 'agent-token'), agentToken);
  const program = await redisProgram();
  const redisArgs = ['--bind', lab.address('redis'), '--port', '6379', '--protected-mode', 'no', '--save', '', '--dir', dir.path];
  stack.use(startProcess([...lab.prefix('redis'), program.path, ...redisArgs], { cwd: dir.path, env: program.env }));
  const on = (host: string, ...args: readonly string[]) => {
    mkdirSync(join(dir.path, host), { recursive: true });
    return stack.use(startProcess([...lab.prefix(host), process.execPath, join(ROOT, 'bin/switchyard.js'), ...args], { cwd: dir.path }));
  };
  const coordinators = ['one', 'two'].map((host) => {
    const at = lab.address(host);
    const own = ['--listen', `${at}:7410`, '--data-listen', `${at}:7411`, '--state-dir', join(dir.path, host), '--tokens-file', tokens];
    const shared = ['--ledger', 'redis', '--redis-url', `redis://${lab.address('redis')}:6379`, '--blobs-dir', join(dir.path, 'blobs')];
    const times = ['--lease-ttl', `${LEASE_MS}ms`, '--heartbeat', `${LEASE_MS / 3}ms`, '--term-ttl', `${TERM_MS}ms`];
    return on(host, 'coordinator', ...own, ...shared, ...times);
  });
  const both = ['one', 'two'].map((host) => `${lab.address(host)}:7410`);
  const agentArgs = ['--id', 'agent', '--work-dir', join(dir.path, 'agent'), '--sandbox', 'process', '--slots', '2'];
  on('agent', 'agent', '--coordinator', both.join(','), '--token-file', join(dir.path, 'agent-token'), ...agentArgs);
  const servers = both.map((address) => stack.use(connectBuildServer({ address, token: new Secret(token) })));
  await until('the agent is there', async () => (await servers[0]?.agents(AbortSignal.timeout(2_000)))?.agents[0]?.connected, PATIENCE_MS);
  const kept = stack.move();
  return { lab, dir: dir.path, servers, coordinators, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

/** Which of the two leads, as their logs say. */
function leaderAmong(coordinators: readonly RunningProcess[]): 'one' | 'two' {
  const terms = coordinators.map((process) => Number([...process.stderr().matchAll(/"term":(\d+),"recoveredInMs"/g)].at(-1)?.[1] ?? 0));
  return (terms[0] ?? 0) > (terms[1] ?? 0) ? 'one' : 'two';
}

describe.runIf(needs('netns'))('hosts that packets are dropped between', { timeout: 240_000 }, () => {
  test('an agent that no coordinator reaches finishes its pure steps, whose results count once; a leader without Redis gives way', async () => {
    await using yard = await startLab();
    const { lab, servers } = yard;
    const ask = <T>(use: (server: BuildServer) => Promise<T>) =>
      until('somebody answers', async () => ({ answer: await Promise.any(servers.map((server) => use(server))) }), PATIENCE_MS).then(
        ({ answer }) => answer,
      );
    const submit = (key: string, script: string) =>
      ask(async (server) => (await server.submit(requestOf(key, [stepThat(script)]), AbortSignal.timeout(5_000))).id);
    const step = async (build: string) => (await ask((server) => server.snapshot(build, AbortSignal.timeout(3_000)))).steps[0];
    const ended = (build: string) =>
      until(
        'it ends',
        async () => {
          const seen = await step(build);
          return seen?.phase === 'ended' && seen;
        },
        PATIENCE_MS,
      );

    // From the agent's side for less than a lease: nobody else is given the step, and the result waits for the link.
    const first = gated(yard.dir, 'first');
    const one = await submit('agent-cut', first.script);
    await until('it runs', async () => (await step(one))?.startedAtMs, PATIENCE_MS);
    for (const host of ['one', 'two']) lab.partitionOneWay('agent', host);
    first.open();
    await new Promise((resolve) => setTimeout(resolve, LEASE_MS / 3));
    lab.heal();
    expect(await ended(one)).toMatchObject({ verdict: 'succeeded', attempts: [{ number: 1, endedWhy: 'succeeded' }] });

    // The leader alone loses Redis: the other one leads, and the running step is not run again.
    const second = gated(yard.dir, 'second');
    const two = await submit('redis-cut', second.script);
    await until('it runs', async () => (await step(two))?.startedAtMs, PATIENCE_MS);
    const before = leaderAmong(yard.coordinators);
    lab.partition(before, 'redis');
    await until('the other one leads', () => leaderAmong(yard.coordinators) !== before, PATIENCE_MS);
    second.open();
    expect(await ended(two)).toMatchObject({ verdict: 'succeeded', attempts: [{ number: 1, endedWhy: 'succeeded' }] });
    lab.heal();
    expect(await ended(await submit('after', 'echo after'))).toMatchObject({ verdict: 'succeeded' });
  });
});
