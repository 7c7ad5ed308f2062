import { parentPort, workerData } from 'node:worker_threads';
import { present } from '../../base/assert.ts';
import type { Ran } from './many.ts';
import { simulate, textOf } from './simulation.ts';

// A thread of `many.ts`: takes seeds, answers each with what its run came to.

const port = present(parentPort, 'this file is started as a worker');
const { steps } = workerData as { readonly steps: number }; // as many.ts gives it
let before = Promise.resolve();

async function run(seed: number): Promise<void> {
  const report = await simulate({ seed, steps });
  const { events, simulatedMs, builds, terms, faults, failure, outcomes } = report;
  const ran: Ran = {
    seed,
    events,
    simulatedMs,
    builds,
    terms,
    faults,
    stepsEnded: [...outcomes.values()].reduce((sum, count) => sum + count, 0),
    failure: failure === undefined ? undefined : { error: textOf(failure), lines: [...report.lastLines, ...report.waiting] },
  };
  port.postMessage(ran);
}

port.on('message', (seed: number) => {
  before = before.then(() => run(seed));
});
