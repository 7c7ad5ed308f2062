import { Fault } from '../../base/fault.ts';
import { callServerStream, callUnary, dial, type Link } from '../../proto/dial.ts';
import { zoneFromProto } from '../../proto/convert.ts';
import type { BuildClient } from '../../proto/gen/switchyard/v1/Build.ts';
import type { GetBuildResponse__Output } from '../../proto/gen/switchyard/v1/GetBuildResponse.ts';
import type { GetBuildRequest } from '../../proto/gen/switchyard/v1/GetBuildRequest.ts';
import type { ListBuildsRequest } from '../../proto/gen/switchyard/v1/ListBuildsRequest.ts';
import type { SubmitBuildRequest } from '../../proto/gen/switchyard/v1/SubmitBuildRequest.ts';
import { loadProto } from '../../proto/load.ts';
import type {
  BuildEvent,
  BuildPhase,
  BuildSnapshot,
  BuildVerdict,
  BuildView,
  ExplanationView,
  FleetView,
  LogChunk,
  ServerView,
} from '../build-view.ts';
import type { TopologyServer } from '../topology-view.ts';
import { failover, type OnMoved } from './failover.ts';
import { topologyServer } from './topology-client.ts';
import {
  agentFromProto,
  dependencyFromProto,
  poolFromProto,
  buildFromProto,
  eventFromProto,
  explanationFromProto,
  holdFromProto,
  stepFromProto,
} from './convert.ts';

/** Longest wait for one answer. */
const DEADLINE_MS = 30_000;

export type BuildFilter = {
  readonly labels: Readonly<Record<string, string>>;
  readonly phase: BuildPhase | undefined;
  readonly verdict: BuildVerdict | undefined;
  /** Builds in all; pages are fetched as needed. */
  readonly limit: number;
};

/** The Build service in our own words. Every method throws a Fault: PEER_UNAVAILABLE where the server cannot be reached. */
export interface BuildServer extends Disposable {
  readonly topology: TopologyServer;
  readonly link: Link;
  server(signal: AbortSignal): Promise<ServerView>;
  submit(request: SubmitBuildRequest, signal: AbortSignal): Promise<{ readonly id: string; readonly existing: boolean }>;
  snapshot(build: string, signal: AbortSignal): Promise<BuildSnapshot>;
  list(filter: BuildFilter, signal: AbortSignal): Promise<readonly BuildView[]>;
  /** Events after `cursor`, then live, to the build's last one. */
  watch(build: string, cursor: string, signal: AbortSignal): AsyncIterable<BuildEvent>;
  log(query: LogQuery, signal: AbortSignal): AsyncIterable<LogChunk>;
  cancel(build: string, step: string, reason: string, signal: AbortSignal): Promise<void>;
  retry(build: string, step: string, signal: AbortSignal): Promise<void>;
  explain(build: string, step: string, signal: AbortSignal): Promise<ExplanationView>;
  agents(signal: AbortSignal): Promise<FleetView>;
  hold(hold: HoldRequest, signal: AbortSignal): Promise<void>;
  /** Drains agents of a pool until `keep` of them serve. */
  scaleIn(request: ScaleInAsked, signal: AbortSignal): Promise<ScaleInView>;
}

/** `attempt` 0 is the newest. */
export type LogQuery = {
  readonly build: string;
  readonly step: string;
  readonly attempt: number;
  readonly offset: number;
  readonly follow: boolean;
};

export type ScaleInAsked = {
  /** `<cluster>/<pool>` */
  readonly pool: string;
  readonly keep: number;
  readonly reason: string;
  /** By the server's clock; 0 for no end. */
  readonly expiresAtMs: number;
  readonly dryRun: boolean;
};

export type ScaleInView = {
  readonly agents: readonly { readonly agent: string; readonly running: number; readonly sideEffects: number; readonly workMs: number }[];
  /** Agents that serve now. */
  readonly serving: number;
};

export type HoldRequest = {
  readonly target: string;
  /** `resume` lifts the hold. */
  readonly kind: 'pause' | 'drain' | 'resume';
  readonly reason: string;
  /** 0 for no end. */
  readonly expiresAtMs: number;
};

const HOLD_KINDS = { pause: 'HOLD_KIND_PAUSE', drain: 'HOLD_KIND_DRAIN', resume: 'HOLD_KIND_UNSPECIFIED' } as const;
const PHASES = { running: 'BUILD_PHASE_RUNNING', ended: 'BUILD_PHASE_ENDED' } as const;
const VERDICTS = {
  succeeded: 'BUILD_VERDICT_SUCCEEDED',
  failed: 'BUILD_VERDICT_FAILED',
  cancelled: 'BUILD_VERDICT_CANCELLED',
  'timed-out': 'BUILD_VERDICT_TIMED_OUT',
} as const;

/**
 * A connection to a coordinator, or to one of several (`link.address` with commas); it is made by the first call. Calls that
 * may be made twice go on at another one where the first is away, and `onMoved` hears of it.
 */
export function connectBuildServer(link: Link, onMoved: OnMoved = () => {}): BuildServer {
  const servers = failover<BuildClient>({
    addresses: link.address.split(','),
    open: (address) => dial(loadProto().switchyard.v1.Build, { ...link, address }, 'control'),
    close: (client) => client.close(),
    onMoved,
  });
  const options = (signal: AbortSignal) => ({ signal, deadlineMs: DEADLINE_MS });
  const ask = <T>(signal: AbortSignal, call: (client: BuildClient) => Promise<T>) => servers.call(call, signal);
  return {
    link,
    topology: topologyServer(servers),
    server: (signal) => ask(signal, (client) => serverOf(client, signal)),
    async submit(request, signal) {
      const submitted = await ask(signal, (client) => callUnary(client, 'submitBuild', request, { signal, deadlineMs: 120_000 }));
      return { id: submitted.buildId, existing: submitted.existing };
    },
    snapshot: (build, signal) =>
      snapshotOf((request) => ask(signal, (client) => callUnary(client, 'getBuild', request, options(signal))), build),
    list: (filter, signal) => ask(signal, (client) => listBuilds(client, filter, signal)),
    async *watch(build, cursor, signal) {
      const open = (client: BuildClient) => callServerStream(client, 'watchBuild', { buildId: build, cursor, bundles: true }, { signal });
      for await (const message of servers.stream(open)) {
        yield eventFromProto(message);
        for (const more of message.more) yield eventFromProto(more);
      }
    },
    async *log({ build, step, attempt, offset, follow }, signal) {
      const request = { buildId: build, step, attempt, offset, follow };
      for await (const chunk of servers.stream((client) => callServerStream(client, 'streamLog', request, { signal }))) {
        yield {
          offset: Number(chunk.offset),
          data: chunk.data,
          attempt: chunk.attempt,
          complete: chunk.complete,
          truncated: chunk.truncated,
        };
      }
    },
    async cancel(build, step, reason, signal) {
      await ask(signal, (client) => callUnary(client, 'cancelBuild', { buildId: build, step, reason }, options(signal)));
    },
    async retry(build, step, signal) {
      await ask(signal, (client) => serverOf(client, signal)); // finds one that answers: the call itself is made once
      await servers.once((client) => callUnary(client, 'retryStep', { buildId: build, step }, options(signal)));
    },
    async explain(build, step, signal) {
      const call = (client: BuildClient) => callUnary(client, 'explainStep', { buildId: build, step }, options(signal));
      return explanationFromProto(await ask(signal, call));
    },
    async agents(signal) {
      const answer = await ask(signal, (client) => callUnary(client, 'listAgents', {}, options(signal)));
      return {
        agents: answer.agents.map(agentFromProto),
        holds: answer.holds.map(holdFromProto),
        pools: answer.pools.map(poolFromProto),
        dependencies: answer.dependencies.map(dependencyFromProto),
      };
    },
    async hold({ target, kind, reason, expiresAtMs }, signal) {
      const request = { target, kind: HOLD_KINDS[kind], reason, expiresAtMs };
      await ask(signal, (client) => callUnary(client, 'setHold', request, options(signal)));
    },
    async scaleIn(request, signal) {
      const { agents, serving } = await ask(signal, (client) => callUnary(client, 'scaleIn', request, options(signal)));
      return { serving, agents: agents.map(({ workMs, ...agent }) => ({ ...agent, workMs: Number(workMs) })) };
    },
    [Symbol.dispose]: () => servers[Symbol.dispose](),
  };
}

/** All pages of a build. */
async function snapshotOf(get: (request: GetBuildRequest) => Promise<GetBuildResponse__Output>, build: string): Promise<BuildSnapshot> {
  const first = await get({ buildId: build });
  if (first.build === null) throw new Fault('INTERNAL', 'The server answered without a build');
  const steps = first.steps.map(stepFromProto);
  const pages = pageGuard();
  for (let pageToken = first.nextPageToken; pageToken !== '';) {
    pages.next(pageToken);
    const page = await get({ buildId: build, pageToken });
    for (const step of page.steps) steps.push(stepFromProto(step));
    pageToken = page.nextPageToken;
  }
  return { build: buildFromProto(first.build), steps, cursor: first.cursor };
}

/** Pages that one list may have: more than the largest build fills. */
const PAGES_MAX = 10_000;

/** Keeps a server that goes round in circles, or never ends, from keeping the command for ever. @throws {Fault} INTERNAL */
function pageGuard(): { next(pageToken: string): void } {
  const seen = new Set<string>();
  return {
    next(pageToken) {
      if (pageToken !== '' && seen.has(pageToken))
        throw new Fault('INTERNAL', `The server gave the page "${pageToken}" twice: its list does not end`);
      seen.add(pageToken);
      if (seen.size > PAGES_MAX) throw new Fault('INTERNAL', `The list of the server has more than ${PAGES_MAX} pages`);
    },
  };
}

async function serverOf(client: BuildClient, signal: AbortSignal): Promise<ServerView> {
  const answer = await callUnary(client, 'getServer', {}, { signal, deadlineMs: DEADLINE_MS });
  const { version, dataAddress, project, scope, role, instanceName } = answer;
  const leader = answer.coordinatorRole === 'COORDINATOR_ROLE_UNSPECIFIED' ? undefined : answer.leaderAddress;
  const zoneCeiling = zoneFromProto(answer.zoneCeiling, 'zone_ceiling', 'untrusted');
  const nowMs = answer.nowMs === '0' ? undefined : Number(answer.nowMs);
  return { version, dataAddress, project, scope, role, instanceName, zoneCeiling, nowMs, leader };
}

async function listBuilds(client: BuildClient, filter: BuildFilter, signal: AbortSignal): Promise<readonly BuildView[]> {
  const found: BuildView[] = [];
  let pageToken = '';
  const pages = pageGuard();
  do {
    const request: ListBuildsRequest = {
      labels: { ...filter.labels },
      pageSize: Math.min(1_000, filter.limit - found.length),
      pageToken,
      ...(filter.phase === undefined ? {} : { phase: PHASES[filter.phase] }),
      ...(filter.verdict === undefined ? {} : { verdict: VERDICTS[filter.verdict] }),
    };
    const answer = await callUnary(client, 'listBuilds', request, { signal, deadlineMs: DEADLINE_MS });
    found.push(...answer.builds.map(buildFromProto));
    pageToken = answer.nextPageToken;
    pages.next(pageToken);
  } while (pageToken !== '' && found.length < filter.limit);
  return found;
}
