import type { Metrics } from '../base/metrics.ts';
import { newDirectCounters } from '../cache/direct/counters.ts';
import { newEntryCounters } from '../cache/entries/counters.ts';
import { openDataMetrics } from '../cache/metrics/data-metrics.ts';
import type { StoreState } from '../cache/metrics/store-state.ts';
import { newBlobCounters } from '../cache/with-blob-counts.ts';
import { openAgentMetrics } from '../agent/metrics.ts';
import { openCoordinatorMetrics } from '../coordinator/metrics/metrics.ts';
import { systemClock } from '../base/clock.ts';
import { ALERTS } from './alerts.ts';

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

[\`deploy/alerts/switchyard.rules.yaml\`](../deploy/alerts/switchyard.rules.yaml) has these as rules for Prometheus. \`page\`: somebody is to look now; \`ticket\`: by day.

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
  const processes = describeProcesses();
  const alerts = ALERTS.map(({ name, severity, expression, lasts, meaning }) => {
    const when = `\`${expression.replaceAll('|', '\\|')}\`${lasts === '' ? '' : ` for ${lasts}`}`;
    return `| ${name} | ${severity} | ${when} | ${meaning} |`;
  });
  const alertTable = `| Alert | For | Expression | What it means, and what to do |\n| --- | --- | --- | --- |\n${alerts.join('\n')}\n`;
  return `${HEAD}${alertTable}\n${processes.map(([name, metrics]) => `## Of ${name}\n\n${table(metrics)}`).join('\n')}`;
}

type Described = ReturnType<Metrics['describe']>;

/** Every metric of ours, by the process that tells it. */
export function describeProcesses(): readonly (readonly [process: string, metrics: Described])[] {
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
  return [
    ['coordinators', coordinator.metrics.describe()],
    ['agents', agent.metrics.describe()],
    ['data planes', data.metrics.describe()],
  ];
}

function table(metrics: Described): string {
  const rows = metrics.toSorted((left, right) => (left.name < right.name ? -1 : 1));
  const quoted = (labels: readonly string[]) => labels.map((label) => `\`${label}\``).join(', ');
  const lines = rows.map(({ name, kind, labels, help }) => `| \`${name}\` | ${kind} | ${quoted(labels)} | ${help} |`);
  return `| Metric | Kind | Labels | Meaning |\n| --- | --- | --- | --- |\n${lines.join('\n')}\n`;
}
