import { fileURLToPath } from 'node:url';
import type { Env } from '../../../base/env.ts';
import { startNode, startSwitchyard } from '../../fixtures/run-process.ts';
import { tempDir } from '../../fixtures/temp-dir.ts';
import { median, percentile, type Bench, type Figure } from '../bench.ts';
import { CALL_KINDS, type CallKind } from './calls.ts';
import { openGrpcLoad, type GrpcLoad } from './grpc-load.ts';
import { cpuSecondsOf, listeningPid } from './server-process.ts';

const ROUNDS = 3;
/** Connections of the load; calls take them in turns. */
const CONNECTIONS = 4;
const FAR = 'far';
const FAR_ROUND_TRIP_MS = 40;
const MIB = 1024 * 1024;

type Target = {
  readonly name: string;
  readonly address: string;
  readonly load: GrpcLoad;
  /** The server's process, where it is on this host. */
  readonly pid: number | undefined;
};

/**
 * The cache's side of the Remote Execution API: the data plane of a coordinator on local disk, and with `--against` any other
 * server, in turns. The load makes its requests ready before the clock runs; rates are of load and server together on this
 * host, processor time is the server's alone.
 */
export const reapiBench: Bench = {
  name: 'reapi',
  about: 'the Remote Execution API: small calls and large blobs at 1, 64 and 512 at once, and over a far link',
  knowsPeers: true,
  cases: [...CALL_KINDS.map(({ name }) => name), FAR],
  async *run({ env, against, only, quick }) {
    await using stack = new AsyncDisposableStack();
    const targets = [stack.use(await ownServer())];
    if (against !== undefined) targets.push(stack.use(await targetAt('peer', against.replace(/^grpc:\/\//, ''))));
    for (const kind of CALL_KINDS) if (only === undefined || only === kind.name) yield* measured(env, targets, kind, quick);
    if (only === undefined || only === FAR) yield* far(env, targets, quick);
  },
};

async function targetAt(name: string, address: string, connections = CONNECTIONS): Promise<Target & AsyncDisposable> {
  const load = await openGrpcLoad(address, connections);
  const pid = listeningPid(Number(address.slice(address.lastIndexOf(':') + 1)));
  return {
    name,
    address,
    load,
    pid,
    async [Symbol.asyncDispose]() {
      load[Symbol.dispose]();
    },
  };
}

async function ownServer(): Promise<Target & AsyncDisposable> {
  await using stack = new AsyncDisposableStack();
  const dir = stack.use(await tempDir());
  const flags = ['--state-dir', dir.path, '--listen', '127.0.0.1:0', '--data-listen', '127.0.0.1:0', '--log-level', 'warn'];
  const server = stack.use(startSwitchyard(['coordinator', ...flags]));
  const { dataAddress } = await server.ready(60_000);
  const target = stack.use(await targetAt('switchyard', String(dataAddress)));
  const parts = stack.move();
  return { ...target, [Symbol.asyncDispose]: () => parts.disposeAsync() };
}

type Round = { readonly rate: number; readonly mibPerSecond: number; readonly cpuMicros: number; readonly latenciesMs: readonly number[] };

async function* measured(env: Env, targets: readonly Target[], kind: CallKind, quick: boolean): AsyncGenerator<Figure> {
  for (const { concurrency, count, blobBytes } of kind.loads) {
    const calls = quick ? Math.max(2, Math.ceil(count / 20)) : count;
    const rounds = new Map<string, Round[]>(targets.map(({ name }) => [name, []]));
    for (let round = 0; round < (quick ? 1 : ROUNDS); round += 1) {
      for (const target of targets) rounds.get(target.name)?.push(await oneRound(env, target, kind, calls, concurrency, blobBytes));
    }
    yield* figuresOf(`${kind.about}, ${concurrency} at once`, targets, rounds);
  }
}

async function oneRound(
  env: Env,
  { load, pid }: Target,
  kind: CallKind,
  count: number,
  concurrency: number,
  blobBytes: number,
): Promise<Round> {
  const { calls, bytes } = await kind.prepare(load, count, blobBytes);
  const latenciesMs: number[] = [];
  const queue = calls.values();
  const cpuBefore = pid === undefined ? Number.NaN : cpuSecondsOf(pid);
  const startedAt = env.clock.monotonic();
  const worker = async () => {
    for (const call of queue) {
      const at = env.clock.monotonic();
      await call();
      latenciesMs.push(env.clock.monotonic() - at);
    }
  };
  await Promise.all(Array.from({ length: concurrency }, worker));
  const seconds = (env.clock.monotonic() - startedAt) / 1_000;
  const cpuSeconds = pid === undefined ? Number.NaN : cpuSecondsOf(pid) - cpuBefore;
  return { rate: count / seconds, mibPerSecond: bytes / MIB / seconds, cpuMicros: (cpuSeconds / count) * 1e6, latenciesMs };
}

function* figuresOf(of: string, targets: readonly Target[], rounds: ReadonlyMap<string, readonly Round[]>): Generator<Figure> {
  const rates = new Map<string, number>();
  for (const { name } of targets) {
    const all = rounds.get(name) ?? [];
    const label = `${of}: ${name}`;
    const mib = median(all.map(({ mibPerSecond }) => mibPerSecond));
    const rate = mib > 0 ? mib : median(all.map(({ rate: calls }) => calls));
    rates.set(name, rate);
    yield { case: label, metric: 'rate', value: rate, unit: mib > 0 ? 'MiB/s' : 'calls/s' };
    const latencies = all.flatMap(({ latenciesMs }) => latenciesMs);
    yield { case: label, metric: 'p50', value: median(latencies), unit: 'ms' };
    yield { case: label, metric: 'p99', value: percentile(latencies, 0.99), unit: 'ms' };
    const cpu = median(all.map(({ cpuMicros }) => cpuMicros));
    if (Number.isFinite(cpu)) yield { case: label, metric: "server's processor time", value: cpu, unit: 'µs a call' };
  }
  const [ours = Number.NaN, peers] = targets.map(({ name }) => rates.get(name));
  if (peers !== undefined) yield { case: `${of}: switchyard : peer`, metric: 'rate', value: ours / peers, unit: '×' };
}

/** One stream over a link with a long way, made by a relay in a process of its own. */
async function* far(env: Env, targets: readonly Target[], quick: boolean): AsyncGenerator<Figure> {
  const streams = CALL_KINDS.filter(({ name }) => name === 'read' || name === 'write');
  await using stack = new AsyncDisposableStack();
  const distant: Target[] = [];
  for (const { name, address } of targets) {
    const script = fileURLToPath(new URL('far-link.ts', import.meta.url));
    const relay = stack.use(startNode([script, address, String(FAR_ROUND_TRIP_MS / 2)], { stdin: 'pipe' }));
    const { address: through } = await relay.ready();
    distant.push(stack.use(await targetAt(name, String(through), 1)));
  }
  for (const kind of streams) {
    const one = { ...kind, about: `${kind.about} of 64 MiB with ${FAR_ROUND_TRIP_MS} ms of round trip`, loads: [farLoad(quick)] };
    yield* measured(env, distant, one, false);
  }
}

function farLoad(quick: boolean) {
  return { concurrency: 1, count: quick ? 1 : 4, blobBytes: (quick ? 16 : 64) * MIB };
}
