import { byLabel, type LabelValues, type Metrics, type Reading } from '../../base/metrics.ts';
import type { Tally } from '../core/tally.ts';
import type { Shell } from '../shell/shell.ts';

/** Classes of waiting steps that get a line of their own: the largest; the rest are one. */
const QUEUES_MAX = 10;
/** Pools that get lines of their own, by name; a yard with more has its numbers in `switchyard agents`. */
const POOLS_MAX = 50;
/** The same of clusters. */
const CLUSTERS_MAX = 50;
const KINDS = ['closed', 'half-open', 'open'] as const;

type ShellOf = () => Shell | undefined;

/** What the scheduler knows; nothing while this coordinator follows. */
export function schedulerMetrics(metrics: Metrics, shell: ShellOf): void {
  stepMetrics(metrics, shell);
  agentMetrics(metrics, shell);
  poolMetrics(metrics, shell);
  clusterMetrics(metrics, shell);
  tallyMetrics(metrics, shell);
}

/** The values while this coordinator leads. */
function led<L extends string>(shell: ShellOf, values: (shell: Shell) => readonly Reading<L>[]): () => readonly Reading<L>[] {
  return () => {
    const current = shell();
    return current === undefined ? [] : values(current);
  };
}

const just = (value: number): readonly Reading<never>[] => [{ value, labels: {} }];

function stepMetrics(metrics: Metrics, shell: ShellOf): void {
  metrics.read({
    name: 'switchyard_steps',
    help: 'Steps in the ledger by state. `resolving` for long: the store does not answer. `queued`: see switchyard_queue_steps.',
    kind: 'gauge',
    labels: ['state'],
    values: led(shell, ({ core }) => byLabel('state', () => core.counts().steps)()),
  });
  metrics.read({
    name: 'switchyard_builds',
    help: 'Builds in the ledger, ended ones that are not archived yet included.',
    kind: 'gauge',
    values: led(shell, ({ core }) => just(core.counts().builds)),
  });
  metrics.read({
    name: 'switchyard_queue_steps',
    help: 'Steps that wait for an agent, by what they ask for (selector; resources; zone; sandbox): the ten longest queues, and `other`.',
    kind: 'gauge',
    labels: ['class'],
    values: led(shell, ({ core }) => queues(core.counts().queues)),
  });
  metrics.read({
    name: 'switchyard_queue_oldest_seconds',
    help: 'How long the step has waited that could run and waits longest for an agent, those in a backoff left out; 0 where none waits.',
    kind: 'gauge',
    values: led(shell, ({ core, driver }) => {
      const { oldestReadyAt } = core.waiting();
      return just(oldestReadyAt === undefined ? 0 : Math.max(0, driver.now() - oldestReadyAt) / 1_000);
    }),
  });
  metrics.read({
    name: 'switchyard_unmatched_steps',
    help:
      'Queued steps that wait in vain as things are, by why. No agent has the `zone`, `selector`, `resources` or `sandbox` that they ask for, ' +
      'or not all `together`, or there are `no-agents`; or all that have are `away`, `outside` the topology, `draining`, held back by a ' +
      '`breaker`, `held` or `cordoned`, or that for `several` reasons; or their project is at its `quota`.',
    kind: 'gauge',
    labels: ['why'],
    values: led(shell, ({ core }) => byLabel('why', () => core.waiting().unmatched)()),
  });
  metrics.read({
    name: 'switchyard_scheduler_backlog',
    help: 'Decisions whose commit is under way. Growing: the ledger is slower than the work that comes.',
    kind: 'gauge',
    values: led(shell, ({ driver }) => just(driver.backlog)),
  });
  metrics.read({
    name: 'switchyard_project_retries_left',
    help: 'Retries that may follow at once, of the project that has fewest left. 0: its retries wait.',
    kind: 'gauge',
    values: led(shell, ({ core }) => just(core.counts().projectRetriesLeftMin)),
  });
}

function queues(all: readonly { readonly key: string; readonly size: number }[]): readonly Reading<'class'>[] {
  const sorted = all.toSorted((left, right) => right.size - left.size || (left.key < right.key ? -1 : 1));
  const rest = sorted.slice(QUEUES_MAX).reduce((sum, { size }) => sum + size, 0);
  const top = sorted.slice(0, QUEUES_MAX).map(({ key, size }) => ({ value: size, labels: { class: key } }));
  return [...top, { value: rest, labels: { class: 'other' } }];
}

function agentMetrics(metrics: Metrics, shell: ShellOf): void {
  metrics.read({
    name: 'switchyard_agents',
    help: 'Agents that are known, by state; those that are draining or cordoned are connected, too.',
    kind: 'gauge',
    labels: ['state'],
    values: led(shell, ({ core }) => {
      const { connected, away, draining, cordoned } = core.counts().agents;
      return byLabel('state', () => ({ connected, away, draining, cordoned }))();
    }),
  });
  metrics.read({
    name: 'switchyard_agent_breakers',
    help: 'Agents whose breaker is not closed: they erred several times in a row.',
    kind: 'gauge',
    labels: ['state'],
    values: led(shell, ({ core }) => {
      const { breakerOpen, breakerHalfOpen } = core.counts().agents;
      return byLabel('state', () => ({ open: breakerOpen, 'half-open': breakerHalfOpen }))();
    }),
  });
}

function poolMetrics(metrics: Metrics, shell: ShellOf): void {
  const each = <L extends string>(values: (pool: ReturnType<Shell['core']['pools']>[number]) => readonly Reading<L>[]) =>
    led(shell, ({ core }) => core.pools().slice(0, POOLS_MAX).flatMap(values));
  metrics.read({
    name: 'switchyard_pool_breaker_state',
    help: "State of each pool's breaker, as for dependencies. Open: agents of the pool erred one after the other, nothing goes there.",
    kind: 'gauge',
    labels: ['pool', 'state'],
    values: each(({ name, breaker }) =>
      KINDS.map((state): Reading<'pool' | 'state'> => ({ value: breaker.kind === state ? 1 : 0, labels: { pool: name, state } })),
    ),
  });
  metrics.read({
    name: 'switchyard_pool_degraded',
    help: '1 while the newest canary build of the pool has failed, so that nothing but canaries goes there.',
    kind: 'gauge',
    labels: ['pool'],
    values: each(({ name, degraded }) => [{ value: degraded === undefined ? 0 : 1, labels: { pool: name } }]),
  });
  metrics.read({
    name: 'switchyard_pool_agents',
    help: 'Agents of each pool: `connected`, and those of them that may be offered steps (`taking`).',
    kind: 'gauge',
    labels: ['pool', 'state'],
    values: each(({ name, connected, taking }) => [
      labelled(connected, { pool: name, state: 'connected' }),
      labelled(taking, { pool: name, state: 'taking' }),
    ]),
  });
  metrics.read({
    name: 'switchyard_pool_slots',
    help: 'Slots of the connected agents of each pool: `all`, and those of them that steps use (`used`). One by the other is the utilisation.',
    kind: 'gauge',
    labels: ['pool', 'state'],
    values: each(({ name, slots: { all, used } }) => [
      labelled(all, { pool: name, state: 'all' }),
      labelled(used, { pool: name, state: 'used' }),
    ]),
  });
  metrics.read({
    name: 'switchyard_pool_leases',
    help: 'Steps that agents of each pool hold.',
    kind: 'gauge',
    labels: ['pool'],
    values: each(({ name, running }) => [labelled(running, { pool: name })]),
  });
  metrics.read({
    name: 'switchyard_pool_retries_left',
    help: "Retries that may follow at once after errors of the pool's agents. 0: they wait.",
    kind: 'gauge',
    labels: ['pool'],
    values: each(({ name, retriesLeft }) => [labelled(Math.max(0, retriesLeft), { pool: name })]),
  });
}

function clusterMetrics(metrics: Metrics, shell: ShellOf): void {
  metrics.read({
    name: 'switchyard_cluster_breaker_state',
    help: "State of each cluster's breaker, as for dependencies. Open: several pools of the cluster erred one after the other, nothing goes there.",
    kind: 'gauge',
    labels: ['cluster', 'state'],
    values: led(shell, ({ core }) =>
      core
        .clusters()
        .slice(0, CLUSTERS_MAX)
        .flatMap(({ name, breaker }) =>
          KINDS.map((state): Reading<'cluster' | 'state'> => ({ value: breaker.kind === state ? 1 : 0, labels: { cluster: name, state } })),
        ),
    ),
  });
}

function labelled<L extends string>(value: number, labels: LabelValues<L>): Reading<L> {
  return { value, labels };
}

type Sum = { readonly [K in keyof Tally]: Tally[K] extends number ? K : never }[keyof Tally];

/** The sums of the tally as counters. */
const SUMS: Readonly<Record<Sum, { readonly name: string; readonly help: string }>> = {
  leasesExpired: {
    name: 'switchyard_leases_expired_total',
    help: 'Leases that ended because nothing was heard of their agent in time.',
  },
  resultsFenced: {
    name: 'switchyard_results_fenced_total',
    help: 'Results that were refused because the lease was over: the step had gone elsewhere or had ended.',
  },
  resultsRepeated: { name: 'switchyard_results_repeated_total', help: 'Results that were reported again and had been accepted before.' },
  offersReturned: {
    name: 'switchyard_offers_returned_total',
    help: 'Offers that came to nothing: turned down, not taken in time, or the agent went.',
  },
  retries: { name: 'switchyard_retries_total', help: 'Steps that are tried again after a failure or an error.' },
  retriesHeldBack: {
    name: 'switchyard_retries_held_back_total',
    help: 'Retries that wait longer because the budget of their project or pool is used up.',
  },
  quarantined: { name: 'switchyard_steps_quarantined_total', help: 'Steps that were given up because their attempts took agents down.' },
  agentBreakersOpened: { name: 'switchyard_agent_breakers_opened_total', help: 'Times that the breaker of an agent opened.' },
  poolsDegraded: { name: 'switchyard_pools_degraded_total', help: 'Times that a pool became degraded because its canary build failed.' },
  poolBreakersOpened: { name: 'switchyard_pool_breakers_opened_total', help: 'Times that the breaker of a pool opened.' },
  clusterBreakersOpened: { name: 'switchyard_cluster_breakers_opened_total', help: 'Times that the breaker of a cluster opened.' },
  cacheUnavailable: {
    name: 'switchyard_steps_not_resolved_total',
    help: 'Times that the inputs of a step could not be put together because the store did not answer; it is tried again.',
  },
  unsealed: {
    name: 'switchyard_steps_unsealed_total',
    help: 'Steps that ended while the store did not answer, so that what they left was staged on the disk of a data plane.',
  },
  reruns: {
    name: 'switchyard_steps_rerun_total',
    help: 'Steps that ran again because what they had left was gone, and others needed it.',
  },
};

function tallyMetrics(metrics: Metrics, shell: ShellOf): void {
  metrics.read({
    name: 'switchyard_attempts_total',
    help: "Attempts that ended, by how: `succeeded`, or the class of the failure or error. Errors are ours, failures the step's.",
    kind: 'counter',
    labels: ['class'],
    values: led(shell, ({ core }) => byLabel('class', () => core.tally.attempts)()),
  });
  metrics.read({
    name: 'switchyard_dependency_cache_lookups_total',
    help: 'Lookups of dependency caches by what they came to. `unknown`: the store could not be asked, and the step began without.',
    kind: 'counter',
    labels: ['found'],
    values: led(shell, ({ core }) => byLabel('found', () => core.tally.dependencyLookups)()),
  });
  metrics.read({
    name: 'switchyard_dependency_cache_saves_total',
    help: 'What steps left in dependency caches, by what became of it. `differs`: the same key led to other content before; `dropped`: lost.',
    kind: 'counter',
    labels: ['outcome'],
    values: led(shell, ({ core }) => byLabel('outcome', () => core.tally.dependencySaves)()),
  });
  for (const [key, { name, help }] of Object.entries(SUMS))
    metrics.read({ name, help, kind: 'counter', values: led(shell, ({ core }) => just(core.tally[key as Sum])) }); // a key of the table
}
