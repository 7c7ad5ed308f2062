import { median, percentile, type Bench, type BenchOptions, type Figure } from './bench.ts';
import { startYardSubjects, type LedgerPlace } from './bench-yard.ts';
import { redisPlace } from './redis-place.ts';

/** Agents of one process at most: enough processes to use the host, few enough not to measure its memory. */
const AGENTS_PER_PROCESS = 64;
const DRAIN_STEPS = 10_000;

type Case = { readonly agents: number; readonly rates: readonly number[]; readonly drain: boolean };

const CASES: readonly Case[] = [
  { agents: 1, rates: [50], drain: true },
  { agents: 4, rates: [5, 500], drain: true },
  { agents: 64, rates: [50, 500], drain: true },
  { agents: 256, rates: [50], drain: true },
];

/** As `dispatch`, ours alone, over numbers of agents and rates. */
export const scaleBench: Bench = {
  name: 'scale',
  about: 'dispatch with 1 to 256 agents at 5 to 500 steps/s, on the ledger that --ledger names (sqlite)',
  knowsPeers: false,
  async *run(options) {
    await using stack = new AsyncDisposableStack();
    const redis = options.ledger === 'redis' ? stack.use(await redisPlace(options.redis)) : undefined;
    const ledger: LedgerPlace = redis === undefined ? { kind: 'sqlite' } : { kind: 'redis', url: redis.url };
    for (const one of options.quick ? [{ agents: 4, rates: [50], drain: true }] : CASES) yield* runCase(one, ledger, options);
  },
};

async function* runCase(one: Case, ledger: LedgerPlace, options: BenchOptions): AsyncIterable<Figure> {
  const named = `${one.agents} agent${one.agents === 1 ? '' : 's'}, ${ledger.kind}`;
  const [pure] = await startYardSubjects(named, ledger, { count: one.agents, perProcess: AGENTS_PER_PROCESS });
  await using subject = pure;
  for (const rate of one.rates) {
    const { latenciesMs, lost, doubled } = await subject.openLoop(rate, options.quick ? 4 : rate < 10 ? 20 : 10);
    const at = `${rate} steps/s, ${named}`;
    yield { case: at, metric: 'submit → started, p50', value: median(latenciesMs), unit: 'ms' };
    yield { case: at, metric: 'submit → started, p99', value: percentile(latenciesMs, 0.99), unit: 'ms' };
    yield { case: at, metric: 'lost or doubled', value: lost + doubled, unit: 'steps' };
  }
  if (!one.drain || subject.drain === undefined) return;
  const steps = options.quick ? 1_000 : DRAIN_STEPS;
  const { seconds, lost, doubled } = await subject.drain(steps);
  yield { case: `drain of ${steps} no-op steps, ${named}`, metric: 'steps, submit to end', value: steps / seconds, unit: '/s' };
  yield { case: `drain of ${steps} no-op steps, ${named}`, metric: 'lost or doubled', value: lost + doubled, unit: 'steps' };
}
