/**
 * What a step needs and what an agent has. `slots` counts steps at once; `custom` holds named countables (`gpu`, `license`).
 * Absent in a request means 0 for all but `slots`, which is 1.
 */
export type Resources = {
  /** Thousandths of a core. */
  readonly cpuMillis: number;
  readonly memoryBytes: number;
  readonly slots: number;
  readonly custom: Readonly<Record<string, number>>;
};

export const NO_RESOURCES: Resources = { cpuMillis: 0, memoryBytes: 0, slots: 0, custom: {} };
