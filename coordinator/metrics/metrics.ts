import type { BreakerView } from '../../base/breaker.ts';
import type { Clock } from '../../base/clock.ts';
import { breakerMetrics } from '../../base/breaker-metrics.ts';
import { connectionMetrics, newConnectionCounts, type ConnectionCounts } from '../../base/connection-limits.ts';
import { byLabel, one, openMetrics, type Metrics } from '../../base/metrics.ts';
import type { RedisLedgerState } from '../ledger/redis/redis.ts';
import type { RoleMachine } from '../role/role.ts';
import type { Shell, ShellMeasures } from '../shell/shell.ts';
import { shellMeasures } from './measures.ts';
import { schedulerMetrics } from './scheduler-metrics.ts';

export type CoordinatorMetricsOptions = {
  readonly clock: Clock;
  readonly version: string;
};

/** What the metrics look at when somebody asks for them. */
export type CoordinatorSources = {
  readonly roles: Pick<RoleMachine, 'current' | 'ledgerAnsweredAt'>;
  readonly breakers: () => readonly BreakerView[];
  /** Undefined on a ledger without connections. */
  readonly redis: (() => RedisLedgerState) | undefined;
  /** Process id of the data plane; undefined between two runs. */
  readonly dataPlanePid: () => number | undefined;
};

/** Everything that a coordinator tells of itself in numbers. Those of the scheduler are told by the one that leads. */
export interface CoordinatorMetrics extends Disposable {
  readonly metrics: Metrics;
  /** For the server, to be kept up by it. */
  readonly connections: ConnectionCounts;
  /** For each shell that this process starts. */
  readonly measures: ShellMeasures;
  /** To be called each time this coordinator has begun to lead, with the term's number and the time that the takeover took. */
  tookOver(number: number, ms: number): void;
  /** Once everything is there. */
  watch(sources: CoordinatorSources): void;
}

const ROLES = ['leading', 'following'] as const;

export function openCoordinatorMetrics({ clock, version }: CoordinatorMetricsOptions): CoordinatorMetrics {
  const metrics = openMetrics();
  const takeovers = metrics.histogram(
    'switchyard_coordinator_takeover_seconds',
    'Time from the grant of a term until its scheduler works: loading the ledger and going on from it. Its count is the number of takeovers.',
    [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
  );
  metrics.read({
    name: 'switchyard_coordinator_info',
    help: 'Always 1; says which version runs.',
    kind: 'gauge',
    labels: ['version'],
    values: () => [{ value: 1, labels: { version } }],
  });
  const connections = newConnectionCounts();
  connectionMetrics(metrics, { grpc: connections });
  let term: number | undefined;
  metrics.read({
    name: 'switchyard_coordinator_term',
    help: 'Number of the newest term that this coordinator led.',
    kind: 'gauge',
    values: () => (term === undefined ? [] : [{ value: term, labels: {} }]),
  });
  return {
    metrics,
    connections,
    measures: shellMeasures(metrics, clock),
    tookOver(number, ms) {
      term = number;
      takeovers.observe(ms / 1_000, {});
    },
    watch(sources) {
      roleMetrics(metrics, sources, clock);
      dependencyMetrics(metrics, sources);
      const shell = (): Shell | undefined => {
        const role = sources.roles.current();
        return role.kind === 'leading' ? role.shell : undefined;
      };
      schedulerMetrics(metrics, shell);
      streamMetrics(metrics, shell);
    },
    [Symbol.dispose]: () => metrics[Symbol.dispose](),
  };
}

function roleMetrics(metrics: Metrics, { roles }: CoordinatorSources, clock: Clock): void {
  metrics.read({
    name: 'switchyard_coordinator_role',
    help: '1 for the role that this coordinator has, 0 for the other. Exactly one coordinator of a yard leads.',
    kind: 'gauge',
    labels: ['role'],
    values: () => ROLES.map((role) => ({ value: roles.current().kind === role ? 1 : 0, labels: { role } })),
  });
  metrics.read({
    name: 'switchyard_coordinator_leader_known',
    help: '1 while this coordinator leads or knows who does; 0: calls that need the leader fail.',
    kind: 'gauge',
    values: one(() => {
      const role = roles.current();
      return role.kind === 'leading' || role.leader !== undefined ? 1 : 0;
    }),
  });
  metrics.read({
    name: 'switchyard_ledger_answer_age_seconds',
    help: 'Time since the ledger last answered a question about the term. Near the term time the coordinator steps down.',
    kind: 'gauge',
    values: one(() => Math.max(0, clock.monotonic() - roles.ledgerAnsweredAt) / 1_000),
  });
}

function dependencyMetrics(metrics: Metrics, { breakers, redis, dataPlanePid }: CoordinatorSources): void {
  breakerMetrics(metrics, breakers);
  metrics.read({
    name: 'switchyard_data_plane_up',
    help: '1 while the data plane process of this coordinator runs; 0 while it is being started again.',
    kind: 'gauge',
    values: one(() => (dataPlanePid() === undefined ? 0 : 1)),
  });
  const connections = () => {
    const state = redis?.();
    return state === undefined
      ? []
      : ([
          ['commits', state.commits],
          ['reads', state.reads],
        ] as const);
  };
  metrics.read({
    name: 'switchyard_redis_connected',
    help: '1 while the connection to Redis stands; commits have one of their own.',
    kind: 'gauge',
    labels: ['connection'],
    values: () => connections().map(([connection, state]) => ({ value: state.connected ? 1 : 0, labels: { connection } })),
  });
  metrics.read({
    name: 'switchyard_redis_latency_seconds',
    help: 'How long the last answer of Redis took.',
    kind: 'gauge',
    labels: ['connection'],
    values: () =>
      connections().flatMap(([connection, { latencyMs }]) =>
        latencyMs === undefined ? [] : [{ value: latencyMs / 1_000, labels: { connection } }],
      ),
  });
  metrics.read({
    name: 'switchyard_redis_retries_total',
    help: 'Calls to Redis that were made again after a passing error.',
    kind: 'counter',
    values: () => {
      const state = redis?.();
      return state === undefined ? [] : [{ value: state.retries, labels: {} }];
    },
  });
}

function streamMetrics(metrics: Metrics, shell: () => Shell | undefined): void {
  const of = (value: (shell: Shell) => number) => () => {
    const current = shell();
    return current === undefined ? [] : [{ value: value(current), labels: {} }];
  };
  metrics.read({
    name: 'switchyard_agent_streams',
    help: 'Open streams of agents.',
    kind: 'gauge',
    values: of(({ sessions }) => sessions.counts.open),
  });
  metrics.read({
    name: 'switchyard_agent_messages_waiting',
    help: 'Messages that agents have not read yet. Growing: an agent or its link is too slow.',
    kind: 'gauge',
    values: of(({ sessions }) => sessions.counts.waiting),
  });
  metrics.read({
    name: 'switchyard_agent_streams_cut_total',
    help: 'Streams that were cut because their agent did not read.',
    kind: 'counter',
    values: of(({ sessions }) => sessions.counts.cut),
  });
  metrics.read({
    name: 'switchyard_watch_streams',
    help: 'Callers that watch a build.',
    kind: 'gauge',
    values: of(({ watch }) => watch.watchers),
  });
  metrics.read({
    name: 'switchyard_log_bytes_total',
    help: 'Bytes of step logs that were made durable in the ledger.',
    kind: 'counter',
    values: of(({ logs }) => logs.counts.bytes),
  });
  metrics.read({
    name: 'switchyard_logs_open',
    help: 'Logs that take bytes or wait to be moved into the store. Growing while few steps run: the store does not take them.',
    kind: 'gauge',
    values: of(({ logs }) => logs.counts.open),
  });
  metrics.read({
    name: 'switchyard_results_published_total',
    help: 'Results for the action cache by what became of them. Not written, and so a later miss: `failed` in their time, `dropped` because too many waited.',
    kind: 'counter',
    labels: ['outcome'],
    values: () => {
      const current = shell();
      return current === undefined ? [] : byLabel('outcome', () => current.stats.counts)();
    },
  });
  metrics.read({
    name: 'switchyard_store_work_waiting',
    help: 'Work that waits for the data plane: actions to be worked out, results to be published.',
    kind: 'gauge',
    labels: ['work'],
    values: () => {
      const current = shell();
      return current === undefined
        ? []
        : byLabel('work', () => ({ resolve: current.stats.resolving, publish: current.stats.publishing }))();
    },
  });
}
