/** Runs that once broke an invariant, and what was wrong. They stay. */
export type Regression = { readonly seed: number; readonly steps: number; readonly note: string };

export const REGRESSIONS: readonly Regression[] = [];
