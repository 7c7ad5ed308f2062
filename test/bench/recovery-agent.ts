import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { startSwitchyard, type RunningProcess } from '../fixtures/run-process.ts';
import { writeFileSync } from 'node:fs';
import type { BenchOptions, Figure } from './bench.ts';
import { startBenchYard, type BenchYard } from './bench-yard.ts';
import { hostMicros } from './host-micros.ts';
import { redisPlace } from './redis-place.ts';

const AGENTS = 4;
/** Steps, each on an agent of its own; their agents end at the same time. */
const HARMED = 2;
const STEP_SECONDS = 120;

type Agents = ReadonlyMap<string, RunningProcess>;

/** Real agents with real steps: killed, and stopped with an announcement. */
export async function* agentFigures(options: BenchOptions): AsyncGenerator<Figure> {
  const rounds = options.quick ? 1 : 2;
  const killed: number[] = [];
  const announced: number[] = [];
  for (let index = 0; index < rounds; index += 1) {
    killed.push(...(await harmed(options, async (agent) => agent.kill('SIGKILL'))));
    announced.push(
      ...(await harmed(options, async (agent) => {
        agent.kill('SIGTERM');
        await delay(100); // two signals at once may be taken for one
        agent.kill('SIGTERM');
      })),
    );
  }
  const named = (what: string, samples: readonly number[]) => `${what}, ${samples.length} steps`;
  yield { case: named('agent kill -9', killed), metric: 'runs elsewhere, longest', value: Math.max(...killed), unit: 's' };
  yield { case: named('agent kill -9', killed), metric: 'runs elsewhere, shortest', value: Math.min(...killed), unit: 's' };
  yield { case: named('agent told to stop', announced), metric: 'runs elsewhere, longest', value: Math.max(...announced), unit: 's' };
}

/** Seconds from the harm to the start elsewhere, of each step whose agent was harmed. */
async function harmed(options: BenchOptions, harm: (agent: RunningProcess) => Promise<void>): Promise<readonly number[]> {
  await using stack = new AsyncDisposableStack();
  const redis = stack.use(await redisPlace(options.redis));
  const yard = stack.use(await startBenchYard({ ledger: { kind: 'redis', url: redis.url } }));
  const agents = await startAgents(yard, stack);
  const never = AbortSignal.timeout(120_000);
  const step = { name: 'long', command: ['sleep', String(STEP_SECONDS)], sideEffects: false, cacheable: false, resources: { slots: 1 } };
  const runs = await Promise.all(
    Array.from({ length: HARMED }, async () => {
      const { id } = await yard.server.submit({ idempotencyKey: randomUUID(), name: 'long', steps: [step] }, never);
      const events = yard.server.watch(id, '', never)[Symbol.asyncIterator]();
      return { id, events, agent: await nextStart(events) };
    }),
  );
  const before = hostMicros();
  await Promise.all([...new Set(runs.map((run) => run.agent))].map(async (name) => harmIt(agents, name, harm)));
  const seconds = await Promise.all(
    runs.map(async ({ events }) => {
      await nextStart(events);
      return (hostMicros() - before) / 1e6;
    }),
  );
  await Promise.all(runs.map(({ id }) => yard.server.cancel(id, '', 'measured', never)));
  return seconds;
}

async function harmIt(agents: Agents, name: string, harm: (agent: RunningProcess) => Promise<void>): Promise<void> {
  const agent = agents.get(name);
  if (agent !== undefined) await harm(agent);
}

async function startAgents(yard: BenchYard, stack: AsyncDisposableStack): Promise<Agents> {
  const tokenFile = join(yard.dir, 'agent.token');
  writeFileSync(tokenFile, yard.token, { mode: 0o600 });
  const agents = new Map<string, RunningProcess>();
  for (let index = 0; index < AGENTS; index += 1) {
    const name = `real-${index}`;
    const where = ['--coordinator', yard.address, '--token-file', tokenFile, '--work-dir', join(yard.dir, name)];
    agents.set(name, stack.use(startSwitchyard(['agent', ...where, '--id', name, '--slots', '1', '--sandbox', 'process'])));
  }
  await Promise.all([...agents.values()].map((agent) => agent.ready(60_000)));
  return agents;
}

/** The agent on which the next attempt of the build has started. */
async function nextStart(events: AsyncIterator<{ readonly kind: string; readonly agent?: string }>): Promise<string> {
  for (;;) {
    const { done, value } = await events.next();
    if (done === true) throw new Error('The build ended before its step ran');
    if (value.kind === 'attempt-started') return value.agent ?? '';
  }
}
