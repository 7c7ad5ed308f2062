import type { Metrics } from '../base/metrics.ts';
import { newDirectCounters } from '../cache/direct/counters.ts';
import { newEntryCounters } from '../cache/entries/counters.ts';
import { openDataMetrics } from '../cache/metrics/data-metrics.ts';
import type { StoreState } from '../cache/metrics/store-state.ts';
import { newBlobCounters } from '../cache/with-blob-counts.ts';
import { openAgentMetrics } from '../agent/metrics.ts';
import { openCoordinatorMetrics } from '../coordinator/metrics/metrics.ts';
import { systemClock } from '../base/clock.ts';

/** What is worth waking somebody: an expression in Prometheus' words, for how long it must hold, and what it means. */
const ALERTS: readonly { readonly name: string; readonly expression: string; readonly lasts: string; readonly meaning: string }[] = [
  {
    name: 'Nobody leads',
    expression: 'sum(switchyard_coordinator_role{role="leading"}) != 1',
    lasts: '1m',
    meaning: 'No coordinator can take the term: look at the ledger.',
  },
  {
    name: 'Takeovers',
    expression: 'increase(switchyard_coordinator_takeover_seconds_count[15m]) > 2',
    lasts: '',
    meaning: 'The term is lost again and again: a stalled host, a slow ledger, coordinators that crash.',
  },
  {
    name: 'Ledger slow',
    expression: 'histogram_quantile(0.99, rate(switchyard_ledger_commit_seconds_bucket[5m])) > 0.5',
    lasts: '',
    meaning: 'Everything waits for commits: look at the disk or at Redis.',
  },
  {
    name: 'Ledger away',
    expression: 'switchyard_ledger_answer_age_seconds > 2',
    lasts: '',
    meaning: 'Near the term time the leader steps down.',
  },
  {
    name: 'Store left alone',
    expression: 'switchyard_dependency_breaker_state{state="open"} == 1',
    lasts: '1m',
    meaning:
      'The data plane does not work; steps with inputs wait in `resolving`, and submissions with inputs are refused. Its log says why.',
  },
  {
    name: 'Pool held back',
    expression: 'switchyard_pool_breaker_state{state="open"} == 1',
    lasts: '5m',
    meaning: 'Agents of the pool err one after the other: `switchyard agents` has the newest error.',
  },
  {
    name: 'Agents held back',
    expression: 'switchyard_agent_breakers{state="open"} > 0',
    lasts: '15m',
    meaning: 'Single hosts err: `switchyard agents` names them.',
  },
  {
    name: 'Agents cordoned',
    expression: 'switchyard_agents{state="cordoned"} > 0',
    lasts: '15m',
    meaning: 'Hosts are short of disk or memory: `switchyard agents` says of what.',
  },
  {
    name: 'Long queue',
    expression: 'histogram_quantile(0.95, rate(switchyard_step_queue_seconds_bucket[10m])) > 300',
    lasts: '',
    meaning: 'Too few agents for what `switchyard_queue_steps` names.',
  },
  {
    name: 'Errors of ours',
    expression: 'rate(switchyard_attempts_total{class=~"agent-lost|sandbox-error|cache-error"}[10m]) > 0.1',
    lasts: '',
    meaning: 'Attempts are lost to hosts and stores, not to the steps.',
  },
  {
    name: 'Leases expire',
    expression: 'increase(switchyard_leases_expired_total[10m]) > 5',
    lasts: '',
    meaning: 'Agents vanish or cannot reach the coordinator.',
  },
  {
    name: 'Retries wait',
    expression: 'rate(switchyard_retries_held_back_total[10m]) > 0',
    lasts: '10m',
    meaning: 'A project or pool fails so often that its budget is used up.',
  },
  {
    name: 'Stuck process',
    expression: 'nodejs_eventloop_lag_p99_seconds > 0.5',
    lasts: '5m',
    meaning: 'The process does not keep up; callers and agents wait.',
  },
  {
    name: 'Spool fills',
    expression: 'switchyard_agent_spool_bytes / switchyard_agent_spool_limit_bytes > 0.8',
    lasts: '',
    meaning: 'The agent cannot hand on its logs; beyond the limit they are cut.',
  },
  {
    name: 'Agent alone',
    expression: 'switchyard_agent_registered == 0',
    lasts: '1m',
    meaning: 'The agent finds no coordinator that takes it.',
  },
  {
    name: 'Bucket fails',
    expression: 'sum(rate(switchyard_bucket_requests_total{outcome!="ok"}[5m])) / sum(rate(switchyard_bucket_requests_total[5m])) > 0.05',
    lasts: '5m',
    meaning: 'The bucket refuses calls, or does not answer, after all tries: the log of the data plane has its words.',
  },
  {
    name: 'Packs gone',
    expression: 'increase(switchyard_packs_gone_total[1h]) > 0',
    lasts: '',
    meaning: 'Somebody else deletes objects of the bucket: look at its rules and at who may write there.',
  },
  {
    name: 'Entries not believed',
    expression: 'increase(switchyard_entries_refused_total{because="bad"}[1h]) > 0',
    lasts: '',
    meaning: 'Records of the cache are damaged or forged; `entry-refused` in the log of the data plane names them.',
  },
  {
    name: 'No garbage collected',
    expression: 'time() - max(switchyard_gc_last_pass_timestamp_seconds) > 7200',
    lasts: '',
    meaning: 'No data plane ends a pass: `gc-failed` in the log says why. The bucket grows.',
  },
  {
    name: 'References wrong',
    expression: 'switchyard_gc_wrong_references > 0',
    lasts: '',
    meaning: 'Nothing is collected any more (`gc-references-wrong`): the index is to be made anew.',
  },
];

const HEAD = `# Metrics

Coordinators and agents tell their numbers in Prometheus' text form at \`/metrics\` of the address that \`--metrics-listen\`
gives, data planes at the one that their coordinator's \`--data-metrics-listen\` gives; nothing listens without it. The same address
answers \`/livez\` and \`/readyz\`. There is no credential: it tells numbers and states, never contents, so keep it on a network of
your own.

Beside the metrics below there are those of the runtime (\`process_*\`, \`nodejs_*\`: processor time, memory, file descriptors,
event-loop lag, garbage collection). No metric has a build, a step, an agent, a project or a scope in a label: their number has no
bound. What there is per agent, \`switchyard agents\` shows; per scope, \`switchyard cache stats\`.

Numbers of the scheduler come from the coordinator that leads; a follower tells only those of its own process. Counters begin
at 0 when another coordinator takes over or a process starts, as \`rate()\` expects. Breakers do so, too: they are closed
in a new leader, which learns within a few calls or steps what is the matter.

## What to alert on

`;

const EMPTY_STATE: StoreState = {
  entries: newEntryCounters(),
  directories: () => ({}),
  bucket: undefined,
  indexed: undefined,
  breakers: () => [],
};

/** docs/metrics.md, from the metrics that the processes register. */
export function renderMetricsPage(): string {
  using coordinator = openCoordinatorMetrics({ clock: systemClock, version: '' });
  coordinator.watch({
    roles: { current: () => ({ kind: 'following', leader: undefined, over: new AbortController().signal }), ledgerAnsweredAt: 0 },
    breakers: () => [],
    redis: undefined,
    dataPlanePid: () => undefined,
  });
  using agent = openAgentMetrics({ clock: systemClock, version: '' });
  agent.watch({
    ...{
      spoolBytes: () => 0,
      spoolBytesMax: 0,
      breakers: () => [],
      tierBytes: () => 0,
      tierBytesMax: 0,
      restores: { of: () => 0, bytesOf: () => 0 },
    },
    direct: { counters: newDirectCounters(), isReachable: true, uploads: { counters: { packs: 0, packBytes: 0, blobs: 0, failed: 0 } } },
  });
  using data = openDataMetrics();
  data.watch(EMPTY_STATE, newBlobCounters());
  const alerts = ALERTS.map(({ name, expression, lasts, meaning }) => {
    const when = `\`${expression.replaceAll('|', '\\|')}\`${lasts === '' ? '' : ` for ${lasts}`}`;
    return `| ${name} | ${when} | ${meaning} |`;
  });
  const alertTable = `| Alert | Expression | What it means, and what to do |\n| --- | --- | --- |\n${alerts.join('\n')}\n`;
  const parts = [
    ['coordinators', coordinator.metrics],
    ['agents', agent.metrics],
    ['data planes', data.metrics],
  ] as const;
  return `${HEAD}${alertTable}\n${parts.map(([name, metrics]) => `## Of ${name}\n\n${table(metrics)}`).join('\n')}`;
}

function table(metrics: Metrics): string {
  const rows = metrics.describe().toSorted((left, right) => (left.name < right.name ? -1 : 1));
  const quoted = (labels: readonly string[]) => labels.map((label) => `\`${label}\``).join(', ');
  const lines = rows.map(({ name, kind, labels, help }) => `| \`${name}\` | ${kind} | ${quoted(labels)} | ${help} |`);
  return `| Metric | Kind | Labels | Meaning |\n| --- | --- | --- | --- |\n${lines.join('\n')}\n`;
}
