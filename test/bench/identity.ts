import type { Bench, Figure } from './bench.ts';
import { identitySoak, type SoakPlan } from './identity-soak.ts';

const SOAK: SoakPlan = {
  agents: 50,
  lifeMs: 20_000,
  rotateAtMs: 40_000,
  exchangeAtMs: 80_000,
  retireAtMs: 110_000,
  endAtMs: 140_000,
};
const QUICK: SoakPlan = { agents: 5, lifeMs: 10_000, rotateAtMs: 5_000, exchangeAtMs: 30_000, retireAtMs: 42_000, endAtMs: 55_000 };

/** Certificates that change under streams and steps. */
export const identityBench: Bench = {
  name: 'identity',
  about: 'agents whose certificates live 20 s, while the authority of their zone is rotated, exchanged and retired under their work',
  knowsPeers: false,
  async *run({ quick }): AsyncIterable<Figure> {
    const plan = quick ? QUICK : SOAK;
    const name = `${plan.agents} agents, life ${plan.lifeMs / 1_000} s, ${plan.endAtMs / 1_000} s in all`;
    const report = await identitySoak(plan);
    const figure = (metric: string, value: number): Figure => ({ case: name, metric, value, unit: '' });
    yield figure('steps', report.steps);
    yield figure('failed steps', report.failedSteps);
    yield figure('dropped streams', report.droppedStreams);
    yield figure('renewals', report.renewals);
    yield figure('renewals by the new authority alone', report.renewalsAfter);
    for (const [event, count] of Object.entries(report.complaints)) yield figure(event, count);
  },
};
