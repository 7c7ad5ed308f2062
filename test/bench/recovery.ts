import type { Bench } from './bench.ts';
import { agentFigures } from './recovery-agent.ts';
import { bulkFigures } from './recovery-bulk.ts';
import { leaderFigures } from './recovery-leader.ts';

/** How long things take to go on after something died, with default settings, real processes and a ledger in Redis. */
export const recoveryBench: Bench = {
  name: 'recovery',
  about: 'agents and leaders killed, stopped and stalled: until work goes on, and what was lost or run again',
  knowsPeers: false,
  async *run(options) {
    yield* agentFigures(options);
    yield* leaderFigures(options);
    yield* bulkFigures(options);
  },
};
