import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { Env } from '../../../base/env.ts';
import { median, percentile, type Figure } from '../bench.ts';

const run = promisify(execFile);

/** What one piece of work took: of all processes that had a part in it but the bucket, processor time; of the bucket, the traffic. */
export type Cost = { readonly seconds: number; readonly cpuSeconds: number; readonly bytes: number; readonly requests: number };

/** Reads what has been used so far; only differences mean something. */
export type Meter = () => Promise<Omit<Cost, 'seconds'>>;

/** One of those that are compared. What is done before and after is not measured. */
export type Contender = {
  readonly name: string;
  readonly before?: (round: number) => Promise<void> | void;
  readonly work: (round: number) => Promise<unknown>;
  readonly after?: (round: number) => Promise<void> | void;
};

export type Contest = { readonly of: string; readonly rounds: number; readonly contenders: readonly Contender[] };

/**
 * Lets them take turns, A B B A, so that what the machine does meanwhile hits all of them. The first one is what the others are compared
 * with: how many times longer it took, by medians, and how many times the bytes.
 */
export async function* contest({ of, rounds, contenders }: Contest, meter: Meter, env: Env): AsyncGenerator<Figure> {
  const costs = new Map<Contender, Cost[]>(contenders.map((contender) => [contender, []]));
  for (let round = 0; round < rounds; round += 1) {
    for (const contender of round % 2 === 0 ? contenders : contenders.toReversed()) {
      await contender.before?.(round);
      await run('sync'); // what others have left to be written is not this one's work
      const cost = await measured(() => contender.work(round), meter, env);
      costs.get(contender)?.push(cost);
      process.stderr.write(`${of}: ${contender.name}, round ${round + 1} of ${rounds}: ${JSON.stringify(cost)}\n`);
      await contender.after?.(round);
    }
  }
  const middle = (contender: Contender | undefined, what: keyof Cost) =>
    median((contender === undefined ? [] : (costs.get(contender) ?? [])).map((cost) => cost[what]));
  const [first, ...others] = contenders;
  for (const contender of contenders) {
    const name = `${of}: ${contender.name}`;
    const seconds = (costs.get(contender) ?? []).map((cost) => cost.seconds);
    yield { case: name, metric: `median of ${rounds}`, value: median(seconds) * 1_000, unit: 'ms' };
    yield { case: name, metric: 'p95', value: percentile(seconds, 0.95) * 1_000, unit: 'ms' };
    yield { case: name, metric: 'processor time', value: middle(contender, 'cpuSeconds'), unit: 's' };
    yield { case: name, metric: 'to and from the bucket', value: middle(contender, 'bytes') / 1e6, unit: 'MB' };
    yield { case: name, metric: 'requests', value: middle(contender, 'requests'), unit: '' };
  }
  for (const contender of others) {
    const name = `${of}: ${contender.name} against ${first?.name}`;
    yield { case: name, metric: 'time', value: middle(first, 'seconds') / middle(contender, 'seconds'), unit: 'times less' };
    yield {
      case: name,
      metric: 'processor time',
      value: middle(first, 'cpuSeconds') / middle(contender, 'cpuSeconds'),
      unit: 'times less',
    };
    if (middle(first, 'bytes') > 0 && middle(contender, 'bytes') > 0)
      yield { case: name, metric: 'bytes', value: middle(first, 'bytes') / middle(contender, 'bytes'), unit: 'times less' };
  }
}

async function measured(work: () => Promise<unknown>, meter: Meter, env: Env): Promise<Cost> {
  const before = await meter();
  const startedAt = env.clock.monotonic();
  await work();
  const seconds = (env.clock.monotonic() - startedAt) / 1_000;
  const after = await meter();
  return {
    seconds,
    cpuSeconds: after.cpuSeconds - before.cpuSeconds,
    bytes: after.bytes - before.bytes,
    requests: after.requests - before.requests,
  };
}
