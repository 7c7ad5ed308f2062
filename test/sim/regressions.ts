/**
 * Runs that once broke an invariant, and what was wrong. They stay, although a change of the workload gives a seed another
 * story; what must never come back has a test of its own beside the code.
 */
export type Regression = { readonly seed: number; readonly steps: number; readonly note: string };

export const REGRESSIONS: readonly Regression[] = [
  {
    seed: 163,
    steps: 40,
    note: 'heartbeats of an agent that is kept free for others woke waiting steps, whose patience then began anew for ever',
  },
  { seed: 199, steps: 120, note: 'a large outcome was committed in parts, and a restart between them gave the number of an event twice' },
  { seed: 1025, steps: 150, note: "a follower that asks for more than its primary took over the primary's lease" },
];
