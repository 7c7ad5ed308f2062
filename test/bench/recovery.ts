import type { Bench, BenchOptions, Figure } from './bench.ts';
import { agentFigures } from './recovery-agent.ts';
import { bulkFigures } from './recovery-bulk.ts';
import { fullLedgerFigures, leaderFigures } from './recovery-leader.ts';

const CASES: Readonly<Record<string, (options: BenchOptions) => AsyncGenerator<Figure>>> = {
  agents: agentFigures,
  leaders: leaderFigures,
  'full-ledger': fullLedgerFigures,
  bulk: bulkFigures,
};

/** How long things take to go on after something died, with default settings, real processes and a ledger in Redis. */
export const recoveryBench: Bench = {
  name: 'recovery',
  about: 'agents and leaders killed, stopped and stalled: until work goes on, and what was lost or run again',
  knowsPeers: false,
  cases: Object.keys(CASES),
  async *run(options) {
    for (const [name, figures] of Object.entries(CASES)) {
      if (options.only === undefined || options.only === name) yield* figures(options);
    }
  },
};
