import { Worker } from 'node:worker_threads';

export type ManyOptions = {
  readonly first: number;
  readonly steps: number;
  /** Runs are started until there were so many events. */
  readonly events: number;
  readonly workers: number;
  readonly progress: (soFar: Totals) => void;
};

/** What a worker says of one run. */
export type Ran = {
  readonly seed: number;
  readonly events: number;
  readonly simulatedMs: number;
  readonly builds: number;
  readonly stepsEnded: number;
  readonly terms: number;
  readonly faults: ReadonlyMap<string, number>;
  readonly failure: { readonly error: string; readonly lines: readonly string[] } | undefined;
};

/** What many runs came to together. */
export type Totals = {
  seeds: number;
  events: number;
  simulatedMs: number;
  builds: number;
  stepsEnded: number;
  terms: number;
  readonly faults: Map<string, number>;
  /** Of the runs that failed, the one with the lowest seed. */
  failure: { readonly seed: number; readonly error: string; readonly lines: readonly string[] } | undefined;
};

/** Runs seed after seed on several threads, until there were enough events or an invariant broke. */
export async function runMany(options: ManyOptions): Promise<Totals> {
  const totals: Totals = {
    seeds: 0,
    events: 0,
    simulatedMs: 0,
    builds: 0,
    stepsEnded: 0,
    terms: 0,
    faults: new Map(),
    failure: undefined,
  };
  let next = options.first;
  await Promise.all(
    Array.from({ length: options.workers }, async () => {
      const worker = new Worker(new URL('./worker.ts', import.meta.url), { workerData: { steps: options.steps } });
      try {
        await useWorker(
          worker,
          () => {
            if (totals.failure !== undefined || totals.events >= options.events) return undefined;
            next += 1;
            return next - 1;
          },
          (ran) => {
            add(totals, ran);
            options.progress(totals);
          },
        );
      } finally {
        await worker.terminate();
      }
    }),
  );
  return totals;
}

/** Gives the worker seeds until there is none left. */
function useWorker(worker: Worker, nextSeed: () => number | undefined, took: (ran: Ran) => void): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const give = () => {
    const seed = nextSeed();
    if (seed === undefined) resolve();
    else worker.postMessage(seed);
  };
  worker.on('error', reject);
  worker.on('message', (ran: Ran) => {
    took(ran);
    give();
  });
  give();
  return promise;
}

function add(totals: Totals, ran: Ran): void {
  totals.seeds += 1;
  totals.events += ran.events;
  totals.simulatedMs += ran.simulatedMs;
  totals.builds += ran.builds;
  totals.stepsEnded += ran.stepsEnded;
  totals.terms += ran.terms;
  for (const [kind, count] of ran.faults) totals.faults.set(kind, (totals.faults.get(kind) ?? 0) + count);
  const { failure, seed } = ran;
  if (failure !== undefined && seed < (totals.failure?.seed ?? Number.POSITIVE_INFINITY)) totals.failure = { seed, ...failure };
}
