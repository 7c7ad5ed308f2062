import { fork, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { hashToken } from '../../base/auth.ts';
import { prngFrom } from '../../base/prng.ts';
import { connectBuildServer, type BuildServer } from '../../cli/rpc/client.ts';
import { startSwitchyard } from '../fixtures/run-process.ts';
import { tempDir } from '../fixtures/temp-dir.ts';
import { median, percentile, type Bench, type BenchOptions, type Figure } from './bench.ts';
import { hostMicros, type LoadAgentsNews, type LoadAgentsOrder } from './load-agents.ts';

/** Agents of one process at most: enough processes to use the host, few enough not to measure its memory. */
const AGENTS_PER_PROCESS = 64;
const SLOTS = 4;
const DRAIN_STEPS = 10_000;

type Case = { readonly agents: number; readonly rates: readonly number[]; readonly drain: boolean };

const CASES: readonly Case[] = [
  { agents: 1, rates: [50], drain: true },
  { agents: 4, rates: [5, 50, 500], drain: true },
  { agents: 64, rates: [50, 500], drain: true },
  { agents: 256, rates: [50], drain: true },
];

/**
 * The way of a step through real processes: coordinator with SQLite ledger (`synchronous=FULL`), data plane, agents over
 * gRPC on loopback. `submit → started` is from just before the SubmitBuild call to the moment that the agent starts the
 * command. Arrivals are open-loop and random (exponential gaps), so a slow answer does not hold up the next step.
 */
export const dispatchBench: Bench = {
  name: 'dispatch',
  about: 'submit → started at fixed rates, and how fast a queue of no-op steps drains',
  knowsPeers: false,
  async *run(options) {
    for (const one of options.quick ? [{ agents: 4, rates: [50], drain: true }] : CASES) yield* runCase(one, options);
  },
};

async function* runCase(one: Case, options: BenchOptions): AsyncIterable<Figure> {
  await using dir = await tempDir();
  const token = randomUUID();
  const tokensFile = join(dir.path, 'tokens.json');
  const agentEntry = { name: 'load', sha256: hashToken(token), kind: 'agent', cluster: 'bench', pool: 'load', zone: 'production' };
  writeFileSync(tokensFile, JSON.stringify([agentEntry]));
  const addresses = ['--listen', '127.0.0.1:0', '--data-listen', '127.0.0.1:0'];
  const rest = ['--state-dir', join(dir.path, 'state'), '--tokens-file', tokensFile, '--log-level', 'warn'];
  await using coordinator = startSwitchyard(['coordinator', ...addresses, ...rest]);
  const address = String((await coordinator.ready(30_000))['address']);
  await using agents = await startAgents(address, token, one.agents);
  using server = connectBuildServer({ address, token: undefined });
  await submitAndWait(server, 64);
  const named = `${one.agents} agent${one.agents === 1 ? '' : 's'}`;
  for (const rate of one.rates) {
    const seconds = options.quick ? 4 : rate < 10 ? 30 : 15;
    const latencies = await openLoop(server, agents.started, rate, seconds);
    const at = `${rate} steps/s, ${named}`;
    yield { case: at, metric: 'submit → started, p50', value: median(latencies), unit: 'ms' };
    yield { case: at, metric: 'submit → started, p99', value: percentile(latencies, 0.99), unit: 'ms' };
  }
  if (!one.drain) return;
  const steps = options.quick ? 1_000 : DRAIN_STEPS;
  const before = hostMicros();
  await submitAndWait(server, steps);
  const seconds = (hostMicros() - before) / 1e6;
  yield { case: `drain of ${steps} no-op steps, ${named}`, metric: 'steps, submit to end', value: steps / seconds, unit: '/s' };
}

type LoadAgents = AsyncDisposable & { readonly started: Map<string, number> };

async function startAgents(address: string, token: string, count: number): Promise<LoadAgents> {
  const started = new Map<string, number>();
  const children: ChildProcess[] = [];
  const ready: Promise<void>[] = [];
  for (let first = 0; first < count; first += AGENTS_PER_PROCESS) {
    const child = fork(new URL('load-agents.ts', import.meta.url), { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    const order: LoadAgentsOrder = { address, token, first, count: Math.min(AGENTS_PER_PROCESS, count - first), slots: SLOTS };
    child.send(order);
    children.push(child);
    ready.push(
      new Promise((resolve, reject) => {
        child.once('exit', (code) => reject(new Error(`Load agents ended with code ${code}`)));
        child.on('message', (news: LoadAgentsNews) => {
          if (news.kind === 'ready') resolve();
          else for (const [build, at] of news.starts) started.set(build, at);
        });
      }),
    );
  }
  await Promise.all(ready);
  return {
    started,
    async [Symbol.asyncDispose]() {
      await Promise.all(
        children.map((child) => {
          const gone = new Promise((resolve) => void child.once('exit', resolve));
          child.disconnect();
          return gone;
        }),
      );
    },
  };
}

function noOps(count: number) {
  return Array.from({ length: count }, (_, index) => ({ name: `step-${index}`, command: ['true'], cacheable: false }));
}

async function submitAndWait(server: BuildServer, steps: number): Promise<void> {
  const signal = AbortSignal.timeout(300_000);
  const { id } = await server.submit({ idempotencyKey: randomUUID(), name: 'drain', steps: noOps(steps) }, signal);
  for await (const event of server.watch(id, '', signal)) if (event.kind === 'build-ended') return;
}

/** Latencies in milliseconds. @throws {Error} where a step was not started within ten seconds of the last submission. */
async function openLoop(
  server: BuildServer,
  started: ReadonlyMap<string, number>,
  rate: number,
  seconds: number,
): Promise<readonly number[]> {
  const prng = prngFrom(rate);
  const signal = AbortSignal.timeout((seconds + 60) * 1000);
  const submissions: Promise<{ readonly id: string; readonly at: number }>[] = [];
  const begun = hostMicros();
  let due = begun;
  while (due - begun < seconds * 1e6) {
    const waitMs = (due - hostMicros()) / 1000;
    if (waitMs > 0) await delay(waitMs);
    const at = hostMicros();
    const submitted = server.submit({ idempotencyKey: randomUUID(), name: 'one', steps: noOps(1) }, signal);
    submissions.push(submitted.then(({ id }) => ({ id, at })));
    due += (-Math.log(1 - prng.next()) / rate) * 1e6;
  }
  const accepted = await Promise.all(submissions);
  const deadline = hostMicros() + 10e6;
  while (accepted.some(({ id }) => !started.has(id))) {
    if (hostMicros() > deadline) throw new Error(`${accepted.filter(({ id }) => !started.has(id)).length} steps were not started`);
    await delay(20);
  }
  return accepted.map(({ id, at }) => ((started.get(id) ?? Number.NaN) - at) / 1000);
}
