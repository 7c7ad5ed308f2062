import { callUnary } from '../../proto/dial.ts';
import type { BuildClient } from '../../proto/gen/switchyard/v1/Build.ts';
import type { TopologyRevision__Output } from '../../proto/gen/switchyard/v1/TopologyRevision.ts';
import type { EnvironmentView, TopologyPlan, TopologyServer, TopologyView } from '../topology-view.ts';
import type { Failover } from './failover.ts';

/** Longest wait for one answer. */
const DEADLINE_MS = 30_000;

/** The part of the Build service that is about the topology. */
export function topologyServer(servers: Failover<BuildClient>): TopologyServer {
  const options = (signal: AbortSignal) => ({ signal, deadlineMs: DEADLINE_MS });
  return {
    async current(revision, signal) {
      const answer = await servers.call((client) => callUnary(client, 'getTopology', { revision }, options(signal)), signal);
      return answer.revision === null ? undefined : { ...viewOf(answer.revision), text: answer.text };
    },
    async environment(name, signal) {
      const answer = await servers.call((client) => callUnary(client, 'getEnvironment', { name }, options(signal)), signal);
      return { params: settingsOf(answer.params), flags: settingsOf(answer.flags), warnings: answer.warnings };
    },
    async history(signal) {
      const answer = await servers.call((client) => callUnary(client, 'listTopologies', {}, options(signal)), signal);
      return answer.revisions.map(viewOf);
    },
    async plan(text, signal): Promise<TopologyPlan> {
      const answer = await servers.call((client) => callUnary(client, 'planTopology', { text }, options(signal)), signal);
      const { baseDigest, digest, changes, agents, stranded } = answer;
      const problems = answer.problems.map(({ line, column, field, message, fix }) => {
        return { severity: 'error' as const, place: { line, column }, field, message, hint: fix === '' ? undefined : fix, rule: undefined };
      });
      return { problems, baseDigest, digest, changes, agents, stranded };
    },
    async apply({ text, baseDigest, reason }, signal) {
      // Made twice, the second call finds its own text in force, or that of somebody who came between.
      const request = { text, baseDigest, reason };
      const answer = await servers.call((client) => callUnary(client, 'applyTopology', request, options(signal)), signal);
      return { revision: Number(answer.revision), isNew: answer.isNew };
    },
  };
}

function settingsOf(values: Readonly<Record<string, string>>): EnvironmentView['params'] {
  return Object.fromEntries(Object.entries(values).map(([name, json]) => [name, settingOf(json)]));
}

function settingOf(json: string): string | number | boolean {
  const value: unknown = JSON.parse(json);
  return typeof value === 'number' || typeof value === 'boolean' ? value : String(value);
}

function viewOf({ revision, digest, by, atMs, reason }: TopologyRevision__Output): TopologyView {
  return { revision: Number(revision), digest, by, atMs: Number(atMs), reason };
}
