import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { median, percentile, type Bench, type Figure } from './bench.ts';
import { noOps, SLOTS, startBenchYard } from './bench-yard.ts';
import { hostMicros } from './host-micros.ts';
import { startLoadAgents } from './load-agent-processes.ts';
import { openLoop } from './subject.ts';

/** The fleet that the design wants one coordinator to serve, and a small one beside it: what grows with agents shows. */
const FLEETS = [
  { agents: 100, clusters: 20, processes: 1, rates: [0, 100], seconds: 20 },
  { agents: 5_000, clusters: 20, processes: 4, rates: [0, 100], seconds: 30 },
] as const;
const QUICK = [{ agents: 200, clusters: 4, processes: 2, rates: [0, 20], seconds: 5 }] as const;
/** How long a step runs: some are always under way, and their leases are renewed. */
const HOLD_MS = 1_000;
/** Jiffies a second in /proc, the same on all Linux hosts that Node runs on. */
const TICKS = 100;

/** Agents by thousands on one coordinator, by their real streams, while steps for each of their clusters come at a steady rate. */
export const fleetBench: Bench = {
  name: 'fleet',
  about: '5,000 agents in 20 clusters on one coordinator, and 100 (SQLite): dispatch, CPU, memory, heartbeats',
  knowsPeers: false,
  async *run(options) {
    for (const fleet of options.quick ? QUICK : FLEETS) yield* measure(fleet);
  },
};

async function* measure({ agents, clusters, processes, rates, seconds }: (typeof FLEETS | typeof QUICK)[number]): AsyncGenerator<Figure> {
  await using stack = new AsyncDisposableStack();
  const yard = stack.use(await startBenchYard({ ledger: { kind: 'sqlite' }, clusters }));
  const [coordinator] = yard.coordinators;
  if (coordinator === undefined) throw new Error('A yard has a coordinator');
  const { pid } = coordinator.process;
  const empty = rssBytes(pid);
  const before = hostMicros();
  const { address, token, tokens, server } = yard;
  const load = stack.use(
    await startLoadAgents({
      address,
      token,
      tokens,
      count: agents,
      slots: SLOTS,
      perProcess: Math.ceil(agents / processes),
      holdMs: HOLD_MS,
    }),
  );
  const fleet = `${agents} agents in ${clusters} clusters`;
  yield { case: fleet, metric: 'all registered after', value: (hostMicros() - before) / 1e6, unit: 's' };
  yield { case: fleet, metric: 'memory by their registration', value: (rssBytes(pid) - empty) / 2 ** 20, unit: 'MiB' };
  await delay(10_000); // what the registrations left behind is no part of what follows
  const never = new AbortController().signal; // a call that hangs ends by its deadline
  for (const rate of rates) {
    const at = `${fleet}, ${rate} steps/s`;
    load.takeHeartbeats();
    const [cpu, since] = [cpuSeconds(pid), hostMicros()];
    let next = 0;
    const submit = async () => {
      next += 1;
      const steps = noOps(1).map((step) => ({ ...step, selector: `cluster=${clusterName(next % clusters)}` }));
      const { id } = await server.submit({ idempotencyKey: randomUUID(), name: 'one', steps }, never);
      return `${id}/step-0`;
    };
    if (rate === 0) await delay(seconds * 1_000);
    else {
      const { latenciesMs, lost, doubled } = await openLoop(load.starts, submit, rate, seconds);
      yield { case: at, metric: 'submit → started, p50', value: median(latenciesMs), unit: 'ms' };
      yield { case: at, metric: 'submit → started, p99', value: percentile(latenciesMs, 0.99), unit: 'ms' };
      yield { case: at, metric: 'lost or doubled', value: lost + doubled, unit: `of ${latenciesMs.length + lost}` };
    }
    const passed = (hostMicros() - since) / 1e6;
    const beats = load.takeHeartbeats();
    yield { case: at, metric: 'CPU of the coordinator', value: (cpuSeconds(pid) - cpu) / passed, unit: 'cores' };
    yield { case: at, metric: 'memory of the coordinator', value: rssBytes(pid) / 2 ** 20, unit: 'MiB' };
    yield { case: at, metric: 'heartbeats', value: beats.length / passed, unit: '/s' };
    yield { case: at, metric: 'heartbeat, there and back, p99', value: percentile(beats, 0.99), unit: 'ms' };
  }
}

/** As `startBenchYard` calls them. */
function clusterName(index: number): string {
  return `bench-${index}`;
}

/** Processor time of the process so far. */
function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / TICKS;
}

function rssBytes(pid: number): number {
  const [, kib = '0'] = /^VmRSS:\s+([0-9]+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kib) * 1024;
}
