import { stringify } from 'yaml';

/** What is worth somebody's time: an expression in Prometheus' words, for how long it must hold, and what it means. */
export type Alert = {
  readonly name: string;
  /** Whether somebody is to look now, or by day. */
  readonly severity: 'page' | 'ticket';
  readonly expression: string;
  /** '' for at once. */
  readonly lasts: string;
  readonly meaning: string;
};

export const ALERTS: readonly Alert[] = [
  {
    name: 'Nobody leads',
    severity: 'page',
    expression: 'sum(switchyard_coordinator_role{role="leading"}) != 1',
    lasts: '1m',
    meaning: 'No coordinator can take the term: look at the ledger.',
  },
  {
    name: 'Takeovers',
    severity: 'page',
    expression: 'increase(switchyard_coordinator_takeover_seconds_count[15m]) > 2',
    lasts: '',
    meaning: 'The term is lost again and again: a stalled host, a slow ledger, coordinators that crash.',
  },
  {
    name: 'Ledger slow',
    severity: 'ticket',
    expression: 'histogram_quantile(0.99, rate(switchyard_ledger_commit_seconds_bucket[5m])) > 0.5',
    lasts: '',
    meaning: 'Everything waits for commits: look at the disk or at Redis.',
  },
  {
    name: 'Ledger away',
    severity: 'page',
    expression: 'switchyard_ledger_answer_age_seconds > 2',
    lasts: '',
    meaning: 'Near the term time the leader steps down.',
  },
  {
    name: 'Store left alone',
    severity: 'page',
    expression: 'switchyard_dependency_breaker_state{state="open"} == 1',
    lasts: '1m',
    meaning:
      'The data plane does not work; steps with inputs wait in `resolving`, and submissions with inputs are refused. Its log says why.',
  },
  {
    name: 'Pool held back',
    severity: 'ticket',
    expression: 'switchyard_pool_breaker_state{state="open"} == 1',
    lasts: '5m',
    meaning: 'Agents of the pool err one after the other: `switchyard agents` has the newest error.',
  },
  {
    name: 'Cluster held back',
    severity: 'page',
    expression: 'switchyard_cluster_breaker_state{state="open"} == 1',
    lasts: '1m',
    meaning:
      'Several pools of the cluster err one after the other, and nothing goes there: its network, its image or its cache. `switchyard agents` has the newest errors.',
  },
  {
    name: 'Pool degraded',
    severity: 'page',
    expression: 'switchyard_pool_degraded == 1',
    lasts: '2m',
    meaning: 'The canary builds of the pool fail, and nothing else goes there: `switchyard agents` says why.',
  },
  {
    name: 'Agents held back',
    severity: 'ticket',
    expression: 'switchyard_agent_breakers{state="open"} > 0',
    lasts: '15m',
    meaning: 'Single hosts err: `switchyard agents` names them.',
  },
  {
    name: 'Agents cordoned',
    severity: 'ticket',
    expression: 'switchyard_agents{state="cordoned"} > 0',
    lasts: '15m',
    meaning: 'Hosts are short of disk or memory: `switchyard agents` says of what.',
  },
  {
    name: 'Long queue',
    severity: 'ticket',
    expression: 'histogram_quantile(0.95, rate(switchyard_step_queue_seconds_bucket[10m])) > 300',
    lasts: '',
    meaning: 'Too few agents for what `switchyard_queue_steps` names.',
  },
  {
    name: 'Steps wait in vain',
    severity: 'ticket',
    expression: 'sum(switchyard_unmatched_steps{why!="quota"}) > 0',
    lasts: '15m',
    meaning: 'No agent takes them, for the reason in the label `why`: `switchyard explain` of one says what is missing.',
  },
  {
    name: 'Oldest waits long',
    severity: 'ticket',
    expression: 'switchyard_queue_oldest_seconds > 3600',
    lasts: '',
    meaning: 'A step could have run an hour ago: too few agents, or none that it fits on.',
  },
  {
    name: 'Pool full',
    severity: 'ticket',
    expression:
      'switchyard_pool_slots{state="used"} / on(pool) (switchyard_pool_slots{state="all"} > 0) > 0.95 and on() sum(switchyard_queue_steps) > 0',
    lasts: '30m',
    meaning: 'The pool is busy while steps wait: give it more agents, or its autoscaler a higher bound.',
  },
  {
    name: 'Slow dispatch',
    severity: 'ticket',
    expression: 'histogram_quantile(0.99, rate(switchyard_dispatch_seconds_bucket[10m])) > 2',
    lasts: '10m',
    meaning: 'From choice to acceptance it takes long: the ledger, links to agents, or their hosts are slow.',
  },
  {
    name: 'Errors of ours',
    severity: 'ticket',
    expression: 'rate(switchyard_attempts_total{class=~"agent-lost|sandbox-error|cache-error"}[10m]) > 0.1',
    lasts: '',
    meaning: 'Attempts are lost to hosts and stores, not to the steps.',
  },
  {
    name: 'Leases expire',
    severity: 'ticket',
    expression: 'increase(switchyard_leases_expired_total[10m]) > 5',
    lasts: '',
    meaning: 'Agents vanish or cannot reach the coordinator.',
  },
  {
    name: 'Retries wait',
    severity: 'ticket',
    expression: 'rate(switchyard_retries_held_back_total[10m]) > 0',
    lasts: '10m',
    meaning: 'A project or pool fails so often that its budget is used up.',
  },
  {
    name: 'Stuck process',
    severity: 'page',
    expression: 'nodejs_eventloop_lag_p99_seconds > 0.5',
    lasts: '5m',
    meaning: 'The process does not keep up; callers and agents wait.',
  },
  {
    name: 'Spool fills',
    severity: 'ticket',
    expression: 'switchyard_agent_spool_bytes / switchyard_agent_spool_limit_bytes > 0.8',
    lasts: '',
    meaning: 'The agent cannot hand on its logs; beyond the limit they are cut.',
  },
  {
    name: 'Agent alone',
    severity: 'ticket',
    expression: 'switchyard_agent_registered == 0',
    lasts: '1m',
    meaning: 'The agent finds no coordinator that takes it.',
  },
  {
    name: 'Bucket fails',
    severity: 'ticket',
    expression: 'sum(rate(switchyard_bucket_requests_total{outcome!="ok"}[5m])) / sum(rate(switchyard_bucket_requests_total[5m])) > 0.05',
    lasts: '5m',
    meaning: 'The bucket refuses calls, or does not answer, after all tries: the log of the data plane has its words.',
  },
  {
    name: 'Packs gone',
    severity: 'page',
    expression: 'increase(switchyard_packs_gone_total[1h]) > 0',
    lasts: '',
    meaning: 'Somebody else deletes objects of the bucket: look at its rules and at who may write there.',
  },
  {
    name: 'Entries not believed',
    severity: 'page',
    expression: 'increase(switchyard_entries_refused_total{because="bad"}[1h]) > 0',
    lasts: '',
    meaning: 'Records of the cache are damaged or forged; `entry-refused` in the log of the data plane names them.',
  },
  {
    name: 'Results not kept',
    severity: 'ticket',
    expression: 'increase(switchyard_results_published_total{outcome!="written"}[1h]) > 0',
    lasts: '',
    meaning:
      'Results of steps were given up before they were in the action cache: the store is full, too slow, or away for long. Their builds say ' +
      'that they are degraded, and equal steps run again.',
  },
  {
    name: 'No garbage collected',
    severity: 'ticket',
    expression: 'time() - max(switchyard_gc_last_pass_timestamp_seconds) > 7200',
    lasts: '',
    meaning: 'No data plane ends a pass: `gc-failed` in the log says why. The bucket grows.',
  },
  {
    name: 'References wrong',
    severity: 'page',
    expression: 'switchyard_gc_wrong_references > 0',
    lasts: '',
    meaning: 'Nothing is collected any more (`gc-references-wrong`): the index is to be made anew.',
  },
];

/** The same as a file of rules for Prometheus. */
export function renderRules(): string {
  const rules = ALERTS.map(({ name, severity, expression, lasts, meaning }) => ({
    alert: `Switchyard${name.replaceAll(/(^| )(.)/g, (_, __, letter: string) => letter.toUpperCase())}`,
    expr: expression,
    ...(lasts === '' ? {} : { for: lasts }),
    labels: { severity },
    annotations: { summary: name, description: meaning },
  }));
  const groups = stringify({ groups: [{ name: 'switchyard', rules }] }, { lineWidth: 0, singleQuote: true });
  return `# Made by "npm run docs" from scripts/alerts.ts.\n${groups}`;
}
