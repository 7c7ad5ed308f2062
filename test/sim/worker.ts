import { parentPort, workerData } from 'node:worker_threads';
import type { Ran } from './many.ts';
import { simulate, textOf } from './simulation.ts';

// A thread of `many.ts`: takes seeds, answers each with what its run came to.

const port = parentPort ?? failing();
const { steps } = workerData as { readonly steps: number }; // as many.ts gives it
let before = Promise.resolve();

function failing(): never {
  throw new Error('worker.ts is started as a thread only');
}

async function run(seed: number): Promise<Ran> {
  const report = await simulate({ seed, steps });
  const { events, simulatedMs, builds, terms, faults, failure, outcomes } = report;
  return {
    seed,
    events,
    simulatedMs,
    builds,
    terms,
    faults,
    stepsEnded: [...outcomes.values()].reduce((sum, count) => sum + count, 0),
    failure: failure === undefined ? undefined : { error: textOf(failure), lines: [...report.lastLines, ...report.waiting] },
  };
}

port.on('message', (seed: number) => {
  before = before.then(async () => port.postMessage(await run(seed)));
});
