import { randomUUID } from 'node:crypto';
import { present } from '../../base/assert.ts';
import { noOps, startBenchYard, type BenchYard } from './bench-yard.ts';
import { median, percentile, type Bench, type Figure } from './bench.ts';
import { startLoadAgents, type LoadAgents } from './load-agent-processes.ts';
import { openLoop } from './subject.ts';

/** The zone that is measured is the cluster `bench-0`, the one that is flooded `bench-1`. */
const ZONES = ['trusted', 'untrusted'] as const;
const TOPOLOGY = `version: 1
clusters:
  bench-0: {zone: trusted, pools: {load: {class: central}}}
  bench-1: {zone: untrusted, pools: {load: {class: central}}}
zones: {trusted: {exclusive: true, inputs: untrusted}}
`;
const AGENTS = 4;
/** Of the flooded zone: it starts some 150 steps a second for as long as its queue lasts. */
const FLOOD = { slots: 4, holdMs: 100, steps: 5_000, quickSteps: 1_000 };
/** Each with the agents of the measured zone, and how often steps come there. */
const CASES = [
  { name: 'three of four slots busy', holdMs: 150, rate: 20 },
  { name: 'agents with nothing else to do', holdMs: 0, rate: 20 },
] as const;
/** Alone and flooded take turns, so that what else the host does hits both alike. */
const ROUNDS = 4;
const ROUND_SECONDS = 15;

/** What steps of one zone wait for while another zone of the same coordinator is flooded, by real processes. */
export const isolationBench: Bench = {
  name: 'isolation',
  about: 'submit → started in one zone, alone and while thousands of steps are queued in another (SQLite)',
  knowsPeers: false,
  async *run({ quick }) {
    for (const one of CASES) yield* measure(one, quick);
  },
};

async function* measure({ name, holdMs, rate }: (typeof CASES)[number], quick: boolean): AsyncGenerator<Figure> {
  await using stack = new AsyncDisposableStack();
  const yard = stack.use(await startBenchYard({ ledger: { kind: 'sqlite' }, clusters: ZONES.length, zones: ZONES }));
  const never = new AbortController().signal; // a call that hangs ends by its deadline
  await yard.server.topology.apply({ text: TOPOLOGY, baseDigest: '', reason: '' }, never);
  const agents = async (zone: number, plan: { readonly slots: number; readonly holdMs: number }): Promise<LoadAgents> => {
    const { address, tokens } = yard;
    const token = present(tokens[zone], 'each cluster has a token');
    return stack.use(await startLoadAgents({ address, token, count: AGENTS, perProcess: AGENTS, firstNumber: zone * AGENTS, ...plan }));
  };
  const load = await agents(0, { slots: 1, holdMs });
  const flooded = await agents(1, FLOOD);
  const submit = async () => {
    const steps = noOps(1).map((step) => ({ ...step, zone: 'ZONE_TRUSTED' as const }));
    const { id } = await yard.server.submit({ idempotencyKey: randomUUID(), name: 'one', steps }, never);
    return `${id}/step-0`;
  };
  const loop = () => openLoop(load.starts, submit, rate, quick ? 3 : ROUND_SECONDS);
  await loop(); // code is compiled, connections are open
  const waits = { alone: [] as number[], flooded: [] as number[] };
  let lost = 0;
  let left = Number.POSITIVE_INFINITY;
  for (let round = 0; round < (quick ? 1 : ROUNDS); round += 1) {
    const alone = await loop();
    const flood = await startFlood(yard, flooded, quick ? FLOOD.quickSteps : FLOOD.steps);
    const beside = await loop();
    left = Math.min(left, await flood.end());
    waits.alone.push(...alone.latenciesMs);
    waits.flooded.push(...beside.latenciesMs);
    lost += alone.lost + alone.doubled + beside.lost + beside.doubled;
  }
  for (const [kind, samples] of Object.entries(waits)) {
    yield { case: `${name}, ${kind}`, metric: 'submit → started, p50', value: median(samples), unit: 'ms' };
    yield { case: `${name}, ${kind}`, metric: 'submit → started, p99', value: percentile(samples, 0.99), unit: 'ms' };
  }
  yield { case: name, metric: 'p50, flooded : alone', value: median(waits.flooded) / median(waits.alone), unit: '×' };
  yield { case: name, metric: 'p99, flooded : alone', value: percentile(waits.flooded, 0.99) / percentile(waits.alone, 0.99), unit: '×' };
  yield { case: name, metric: 'lost or doubled', value: lost, unit: `of ${waits.alone.length + waits.flooded.length + lost}` };
  yield { case: name, metric: 'flood left at the end, least', value: left, unit: 'steps' };
}

/** One build of the other zone with all its steps at once. `end` cancels what is left, and says how many that were. */
async function startFlood({ server }: BenchYard, { starts }: LoadAgents, count: number): Promise<{ readonly end: () => Promise<number> }> {
  const signal = new AbortController().signal;
  starts.clear();
  const steps = noOps(count).map((step) => ({ ...step, zone: 'ZONE_UNTRUSTED' as const }));
  const { id } = await server.submit({ idempotencyKey: randomUUID(), name: 'flood', steps }, signal);
  return {
    async end() {
      const left = count - starts.count;
      await server.cancel(id, '', 'measured', signal);
      for await (const event of server.watch(id, '', signal)) if (event.kind === 'build-ended') break;
      return left;
    },
  };
}
