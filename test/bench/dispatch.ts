import { median, percentile, type Bench, type BenchOptions, type Figure } from './bench.ts';
import { SLOTS, startYardSubjects } from './bench-yard.ts';
import { startFloor } from './floor.ts';
import { startPeer } from './peer.ts';
import { redisPlace } from './redis-place.ts';
import type { Drain, OpenLoop, Subject } from './subject.ts';

const AGENTS = 4;
const RATE = 50;
/** Subjects take turns, so that what else the host does hits all of them alike. */
const ROUNDS = 4;
const ROUND_SECONDS = 5;
const DRAIN_ROUNDS = 2;
const DRAIN_STEPS = 5_000;
/** Each subject before anything counts: code is compiled as after some minutes of work, connections are open. */
const WARM_RATE = 300;
const WARM_SECONDS = 5;

type Result = { readonly subject: Subject; readonly loops: OpenLoop[]; readonly drains: Drain[] };

/**
 * The way of a step through real processes: client, coordinator, data plane, Redis, and four agents in four processes over
 * gRPC on loopback. `submit → started` is from just before the call that submits to the moment that the agent starts the
 * command. Arrivals are open-loop and random (exponential gaps), so a slow answer does not hold up the next step. Beside it
 * in the same run: the floor, and a peer on the same Redis where `--against` names one.
 */
export const dispatchBench: Bench = {
  name: 'dispatch',
  about: `submit → started at ${RATE}/s with ${AGENTS} agents, and the drain of a queue; beside the floor, and a peer with --against`,
  knowsPeers: true,
  async *run(options) {
    await using stack = new AsyncDisposableStack();
    const results: Result[] = [];
    for await (const subject of startSubjects(options, stack)) results.push({ subject, loops: [], drains: [] });
    for (const { subject } of results) await subject.openLoop(WARM_RATE, WARM_SECONDS);
    for (let round = 0; round < (options.quick ? 1 : ROUNDS); round += 1) {
      for (const { subject, loops } of results) loops.push(await subject.openLoop(RATE, options.quick ? 2 : ROUND_SECONDS));
    }
    yield* latencies(results);
    const steps = options.quick ? 1_000 : DRAIN_STEPS;
    for (let round = 0; round < (options.quick ? 1 : DRAIN_ROUNDS); round += 1) {
      for (const { subject, drains } of results) if (subject.drain !== undefined) drains.push(await subject.drain(steps));
    }
    yield* throughput(results, steps);
  },
};

async function* startSubjects(options: BenchOptions, stack: AsyncDisposableStack): AsyncGenerator<Subject> {
  const agents = { count: AGENTS, perProcess: 1 };
  const wantsRedis = options.ledger !== 'sqlite' || options.against !== undefined;
  if (wantsRedis) {
    const redis = stack.use(await redisPlace(options.redis, options.redisCore));
    yield stack.use(await startFloor(redis.url, AGENTS));
    if (options.ledger !== 'sqlite') {
      const name = `switchyard, Redis (${redis.persistence})`;
      for (const subject of await startYardSubjects(name, { kind: 'redis', url: redis.url }, agents)) yield stack.use(subject);
    }
    if (options.against !== undefined) yield stack.use(await startPeer(options.against, redis.url, AGENTS, SLOTS));
  }
  if (options.ledger === 'redis') return;
  const sqlite = { kind: 'sqlite' } as const;
  for (const subject of await startYardSubjects('switchyard, SQLite (full)', sqlite, agents)) yield stack.use(subject);
}

function* latencies(results: readonly Result[]): Generator<Figure> {
  const all = results.map(({ subject, loops }) => ({
    name: subject.name,
    samples: loops.flatMap(({ latenciesMs }) => latenciesMs),
    loops,
  }));
  for (const { name, samples, loops } of all) {
    yield { case: name, metric: 'submit → started, p50', value: median(samples), unit: 'ms' };
    yield { case: name, metric: 'submit → started, p99', value: percentile(samples, 0.99), unit: 'ms' };
    yield { case: name, metric: 'lost', value: sum(loops, 'lost'), unit: `of ${samples.length + sum(loops, 'lost')}` };
    yield { case: name, metric: 'doubled', value: sum(loops, 'doubled'), unit: 'steps' };
  }
  const ours = all.filter(({ name }) => name.startsWith('switchyard'));
  for (const one of ours) {
    for (const other of all.filter(({ name }) => !name.startsWith('switchyard'))) {
      const named = `${one.name} : ${other.name}`;
      yield { case: named, metric: 'p50', value: median(one.samples) / median(other.samples), unit: '×' };
      yield { case: named, metric: 'p99', value: percentile(one.samples, 0.99) / percentile(other.samples, 0.99), unit: '×' };
    }
  }
}

function* throughput(results: readonly Result[], steps: number): Generator<Figure> {
  const all = results
    .filter(({ drains }) => drains.length > 0)
    .map(({ subject, drains }) => ({ name: subject.name, drains, perSecond: median(drains.map(({ seconds }) => steps / seconds)) }));
  for (const { name, drains, perSecond } of all) {
    yield { case: name, metric: `drain of ${steps} no-ops`, value: perSecond, unit: '/s' };
    yield {
      case: name,
      metric: 'lost or doubled',
      value: sum(drains, 'lost') + sum(drains, 'doubled'),
      unit: `of ${steps * drains.length}`,
    };
  }
  for (const one of all.filter(({ name }) => name.startsWith('switchyard'))) {
    for (const other of all.filter(({ name }) => !name.startsWith('switchyard'))) {
      yield { case: `${one.name} : ${other.name}`, metric: 'drain', value: one.perSecond / other.perSecond, unit: '×' };
    }
  }
}

function sum(results: readonly { readonly lost: number; readonly doubled: number }[], field: 'lost' | 'doubled'): number {
  return results.reduce((total, result) => total + result[field], 0);
}
