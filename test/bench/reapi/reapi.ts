import { fileURLToPath } from 'node:url';
import type { Env } from '../../../base/env.ts';
import { startNode } from '../../fixtures/run-process.ts';
import { sharedS3 } from '../../fixtures/s3.ts';
import { median, percentile, type Bench, type Figure } from '../bench.ts';
import { CALL_KINDS, type CallKind } from './calls.ts';
import { bazelBuilds } from './bazel.ts';
import { cpuSecondsOf } from './server-process.ts';
import { ownServer, targetAt, type Target } from './target.ts';

const ROUNDS = 3;
const FAR = 'far';
/** Cases that are measured only where they are named. */
const FLUSHED = 'flushed';
const PROCESSES = 'processes';
const BUCKET = 'bucket';
const BAZEL = 'bazel';
const FAR_ROUND_TRIP_MS = 40;
const WARM_UP_AT_ONCE = 64;
const MIB = 1024 * 1024;

/**
 * The cache's side of the Remote Execution API: the data plane of a coordinator on local disk, and with `--against` any other
 * server, in turns. The load makes its requests ready before the clock runs; rates are of load and server together on this
 * host, processor time is the server's alone.
 */
export const reapiBench: Bench = {
  name: 'reapi',
  about: 'the Remote Execution API: small calls and large blobs at 1, 64 and 512 at once, and over a far link',
  knowsPeers: true,
  cases: [...CALL_KINDS.map(({ name }) => name), FAR, FLUSHED, PROCESSES, BUCKET, BAZEL],
  async *run({ env, against, only, quick, client }) {
    await using stack = new AsyncDisposableStack();
    const targets = await (OWN[only ?? ''] ?? (async () => [stack.use(await ownServer())]))(stack);
    if (against !== undefined && only !== PROCESSES) targets.push(stack.use(await targetAt('peer', against.replace(/^grpc:\/\//, ''))));
    if (only === BAZEL) yield* bazelBuilds(env, targets, client, quick);
    else if (only !== undefined && Object.hasOwn(OWN, only)) yield* atOnce(env, targets, only === PROCESSES ? CALL_KINDS : large(), quick);
    for (const kind of CALL_KINDS) if (only === undefined || only === kind.name) yield* measured(env, targets, kind, quick);
    if (only === undefined || only === FAR) yield* far(env, targets, quick);
  },
};

/** Servers of ours of another kind, for the cases that are about them. */
const OWN: Readonly<Record<string, (stack: AsyncDisposableStack) => Promise<Target[]>>> = {
  // Both disk flushes before an upload is answered.
  [FLUSHED]: async (stack) => [stack.use(await ownServer('switchyard, flushed', [], { SWITCHYARD_CACHE_DURABILITY: 'power' }))],
  [PROCESSES]: async (stack) => [
    stack.use(await ownServer('two processes', ['--data-processes', '2'])),
    stack.use(await ownServer('one process')),
  ],
  [BUCKET]: async (stack) => {
    const { config } = stack.use(await sharedS3());
    const { bucket, endpoint, region, credentials } = config;
    if (credentials.kind !== 'static') throw new Error('The bucket needs keys');
    const where = [
      '--store',
      's3',
      ...(endpoint === undefined ? [] : ['--s3-endpoint', endpoint]),
      '--s3-region',
      region,
      '--s3-bucket',
      bucket,
    ];
    const args = [...where, '--s3-access-key-id', credentials.accessKeyId];
    const secret = { SWITCHYARD_CACHE_S3_SECRET_ACCESS_KEY: credentials.secretAccessKey.reveal() };
    return [stack.use(await ownServer('switchyard on a bucket', args, secret))];
  },
};

const large = () => CALL_KINDS.filter(({ name }) => name === 'read' || name === 'write');

/** Calls of these kinds, one at once for large ones, and 64. */
async function* atOnce(env: Env, targets: readonly Target[], kinds: readonly CallKind[], quick: boolean): AsyncGenerator<Figure> {
  for (const kind of kinds) {
    const loads = kind.loads.filter(({ concurrency }) => concurrency === 64 || (concurrency === 1 && kinds.length < CALL_KINDS.length));
    yield* measured(env, targets, { ...kind, loads }, quick);
  }
}

type Round = { readonly rate: number; readonly mibPerSecond: number; readonly cpuMicros: number; readonly latenciesMs: readonly number[] };

async function* measured(env: Env, targets: readonly Target[], kind: CallKind, quick: boolean): AsyncGenerator<Figure> {
  // A server of ours is as fast as it gets once its code was compiled, as one that has served for a minute has; a peer gets the same.
  const { warmUpCalls } = kind;
  if (warmUpCalls > 0 && !quick) for (const target of targets) await oneRound(env, target, kind, warmUpCalls, WARM_UP_AT_ONCE, 0);
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
  const [ours = Number.NaN, others] = targets.map(({ name }) => rates.get(name));
  if (others !== undefined)
    yield { case: `${of}: ${targets.map(({ name }) => name).join(' : ')}`, metric: 'rate', value: ours / others, unit: '×' };
}

/** One stream over a link with a long way, made by a relay in a process of its own. */
async function* far(env: Env, targets: readonly Target[], quick: boolean): AsyncGenerator<Figure> {
  await using stack = new AsyncDisposableStack();
  const distant: Target[] = [];
  for (const { name, address, pid } of targets) {
    const script = fileURLToPath(new URL('far-link.ts', import.meta.url));
    const relay = stack.use(startNode([script, address, String(FAR_ROUND_TRIP_MS / 2)], { stdin: 'pipe' }));
    const { address: relayed } = await relay.ready();
    const through = stack.use(await targetAt(name, String(relayed), 1));
    distant.push({ ...through, pid }); // the relay's processor time is not the server's
  }
  for (const kind of large()) {
    const one = { ...kind, about: `${kind.about} of 64 MiB with ${FAR_ROUND_TRIP_MS} ms of round trip`, loads: [farLoad(quick)] };
    yield* measured(env, distant, one, false);
  }
}

function farLoad(quick: boolean) {
  return { concurrency: 1, count: quick ? 1 : 4, blobBytes: (quick ? 16 : 64) * MIB };
}
