import { Fault } from '../../base/fault.ts';
import { callServerStream, callUnary, dial, type Link } from '../../proto/dial.ts';
import { zoneFromProto } from '../../proto/convert.ts';
import type { BuildClient } from '../../proto/gen/switchyard/v1/Build.ts';
import type { ListBuildsRequest } from '../../proto/gen/switchyard/v1/ListBuildsRequest.ts';
import type { SubmitBuildRequest } from '../../proto/gen/switchyard/v1/SubmitBuildRequest.ts';
import { loadProto } from '../../proto/load.ts';
import type {
  AgentView,
  BuildEvent,
  BuildPhase,
  BuildSnapshot,
  BuildVerdict,
  BuildView,
  ExplanationView,
  HoldView,
  LogChunk,
  ServerView,
} from '../build-view.ts';
import { agentFromProto, buildFromProto, eventFromProto, explanationFromProto, holdFromProto, stepFromProto } from './convert.ts';

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
  agents(signal: AbortSignal): Promise<{ readonly agents: readonly AgentView[]; readonly holds: readonly HoldView[] }>;
  hold(hold: HoldRequest, signal: AbortSignal): Promise<void>;
}

/** `attempt` 0 is the newest. */
export type LogQuery = {
  readonly build: string;
  readonly step: string;
  readonly attempt: number;
  readonly offset: number;
  readonly follow: boolean;
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

/** A connection to a coordinator; it is made by the first call. */
export function connectBuildServer(link: Link): BuildServer {
  const client = dial(loadProto().switchyard.v1.Build, link, 'control');
  const options = (signal: AbortSignal) => ({ signal, deadlineMs: DEADLINE_MS });
  return {
    link,
    server: (signal) => serverOf(client, signal),
    async submit(request, signal) {
      const { buildId, existing } = await callUnary(client, 'submitBuild', request, { signal, deadlineMs: 120_000 });
      return { id: buildId, existing };
    },
    async snapshot(build, signal) {
      const first = await callUnary(client, 'getBuild', { buildId: build }, options(signal));
      if (first.build === null) throw new Fault('INTERNAL', 'The server answered without a build');
      const steps = first.steps.map(stepFromProto);
      for (let pageToken = first.nextPageToken; pageToken !== '';) {
        const page = await callUnary(client, 'getBuild', { buildId: build, pageToken }, options(signal));
        for (const step of page.steps) steps.push(stepFromProto(step));
        pageToken = page.nextPageToken;
      }
      return { build: buildFromProto(first.build), steps, cursor: first.cursor };
    },
    list: (filter, signal) => listBuilds(client, filter, signal),
    async *watch(build, cursor, signal) {
      for await (const message of callServerStream(client, 'watchBuild', { buildId: build, cursor }, { signal }))
        yield eventFromProto(message);
    },
    async *log({ build, step, attempt, offset, follow }, signal) {
      const request = { buildId: build, step, attempt, offset, follow };
      for await (const chunk of callServerStream(client, 'streamLog', request, { signal })) {
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
      await callUnary(client, 'cancelBuild', { buildId: build, step, reason }, options(signal));
    },
    async retry(build, step, signal) {
      await callUnary(client, 'retryStep', { buildId: build, step }, options(signal));
    },
    async explain(build, step, signal) {
      return explanationFromProto(await callUnary(client, 'explainStep', { buildId: build, step }, options(signal)));
    },
    async agents(signal) {
      const answer = await callUnary(client, 'listAgents', {}, options(signal));
      return { agents: answer.agents.map(agentFromProto), holds: answer.holds.map(holdFromProto) };
    },
    async hold({ target, kind, reason, expiresAtMs }, signal) {
      await callUnary(client, 'setHold', { target, kind: HOLD_KINDS[kind], reason, expiresAtMs }, options(signal));
    },
    [Symbol.dispose]: () => client.close(),
  };
}

async function serverOf(client: BuildClient, signal: AbortSignal): Promise<ServerView> {
  const answer = await callUnary(client, 'getServer', {}, { signal, deadlineMs: DEADLINE_MS });
  const { version, dataAddress, project, scope, role, instanceName } = answer;
  const zoneCeiling = zoneFromProto(answer.zoneCeiling, 'zone_ceiling', 'untrusted');
  const nowMs = answer.nowMs === '0' ? undefined : Number(answer.nowMs);
  return { version, dataAddress, project, scope, role, instanceName, zoneCeiling, nowMs };
}

async function listBuilds(client: BuildClient, filter: BuildFilter, signal: AbortSignal): Promise<readonly BuildView[]> {
  const found: BuildView[] = [];
  let pageToken = '';
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
  } while (pageToken !== '' && found.length < filter.limit);
  return found;
}
