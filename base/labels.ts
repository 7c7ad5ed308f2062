/** Labels of an agent. Keys and values as Kubernetes has them; `cluster`, `pool` and `zone` come from the agent's credential only. */
export type Labels = Readonly<Record<string, string>>;

/** Labels that carry trust: an agent cannot claim them. */
export const TRUSTED_LABELS = ['cluster', 'pool', 'zone'] as const;
