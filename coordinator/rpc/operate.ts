import type { BreakerView } from '../../base/breaker.ts';
import type { Caller } from '../../base/caller.ts';
import type { TimeMs } from '../../base/clock.ts';
import { resourcesToProto, sandboxTraitToProto } from '../../proto/convert.ts';
import type { BuildVerdict__Output } from '../../proto/gen/switchyard/v1/BuildVerdict.ts';
import type { ListAgentsResponse } from '../../proto/gen/switchyard/v1/ListAgentsResponse.ts';
import type { ListBuildsRequest__Output } from '../../proto/gen/switchyard/v1/ListBuildsRequest.ts';
import type { SetHoldRequest__Output } from '../../proto/gen/switchyard/v1/SetHoldRequest.ts';
import type { BreakerStatus } from '../../proto/gen/switchyard/v1/BreakerStatus.ts';
import type { DependencyStatus } from '../../proto/gen/switchyard/v1/DependencyStatus.ts';
import type { Event } from '../core/event.ts';
import { parseBuildId } from '../core/ids.ts';
import type { BuildOutcome } from '../core/state.ts';
import type { BreakerPicture, BuildFilter } from '../core/view.ts';
import type { CoreView } from '../shell/core-view.ts';
import { bad, brief, labelsField, textField, wholeField } from './fields.ts';

/** What operators and lists ask for. */

const PAGE_DEFAULT = 50;
const PAGE_MAX = 1_000;
const TARGET = /^(agent:[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?|pool:[A-Za-z0-9._-]{1,63}\/[A-Za-z0-9._-]{1,63}|cluster:[A-Za-z0-9._-]{1,63})$/;
const OUTCOMES: ReadonlyMap<BuildVerdict__Output, BuildOutcome> = new Map([
  ['BUILD_VERDICT_SUCCEEDED', 'succeeded'],
  ['BUILD_VERDICT_FAILED', 'failed'],
  ['BUILD_VERDICT_CANCELLED', 'cancelled'],
  ['BUILD_VERDICT_TIMED_OUT', 'timed-out'],
]);

/** @throws {Fault} BAD_REQUEST naming the field */
export function filterFromProto(request: ListBuildsRequest__Output, project: string): BuildFilter {
  const before = request.pageToken === '' ? undefined : parseBuildId(request.pageToken);
  if (request.pageToken !== '' && before === undefined)
    throw bad('page_token', 'is not one of ours: send back next_page_token, or nothing');
  const outcome = OUTCOMES.get(request.verdict);
  if (outcome === undefined && request.verdict !== 'BUILD_VERDICT_UNSPECIFIED')
    throw bad('verdict', `must be one of ${[...OUTCOMES.keys()].join(', ')}`);
  if (!['BUILD_PHASE_UNSPECIFIED', 'BUILD_PHASE_RUNNING', 'BUILD_PHASE_ENDED'].includes(request.phase)) {
    throw bad('phase', 'must be BUILD_PHASE_RUNNING or BUILD_PHASE_ENDED');
  }
  const labels = labelsField(request.labels, 'labels');
  return {
    project,
    ...(Object.keys(labels).length === 0 ? {} : { labels }),
    ...(request.phase === 'BUILD_PHASE_UNSPECIFIED' ? {} : { phase: request.phase === 'BUILD_PHASE_ENDED' ? 'ended' : 'running' }),
    ...(outcome === undefined ? {} : { outcome }),
    ...(before === undefined ? {} : { before }),
    limit: wholeField(request.pageSize, 'page_size', 0, PAGE_MAX) || PAGE_DEFAULT,
  };
}

/** @throws {Fault} BAD_REQUEST naming the field */
export function holdEventFromProto(request: SetHoldRequest__Output, caller: Caller, now: TimeMs): Event {
  const { target } = request;
  if (!TARGET.test(target))
    throw bad('target', `must be "agent:<id>", "pool:<cluster>/<pool>" or "cluster:<name>", but is "${brief(target)}"`);
  const by = caller.name;
  if (request.kind === 'HOLD_KIND_UNSPECIFIED') return { kind: 'hold-lifted', target, by };
  if (request.kind !== 'HOLD_KIND_PAUSE' && request.kind !== 'HOLD_KIND_DRAIN')
    throw bad('kind', 'must be HOLD_KIND_PAUSE or HOLD_KIND_DRAIN');
  const expiresAtMs = wholeField(request.expiresAtMs, 'expires_at_ms', 0, Number.MAX_SAFE_INTEGER);
  if (expiresAtMs !== 0 && expiresAtMs <= now) throw bad('expires_at_ms', `is in the past: it is ${now} now`);
  return {
    kind: 'hold-placed',
    target,
    hold: request.kind === 'HOLD_KIND_PAUSE' ? 'pause' : 'drain',
    reason: textField(request.reason, 'reason', 1, 1_024),
    by,
    expiresAt: expiresAtMs === 0 ? undefined : expiresAtMs,
  };
}

/** `dependencies` are the breakers of what this coordinator itself needs. All times are by the leader's clock, as `now` is. */
export function agentsToProto(core: CoreView, dependencies: readonly BreakerView[], now: TimeMs): ListAgentsResponse {
  return {
    agents: core.agents().map((view) => ({
      agent: view.id,
      connected: view.connected,
      labels: view.labels,
      capacity: resourcesToProto(view.facts.capacity),
      free: resourcesToProto(view.free),
      sandbox: view.facts.sandbox.map(sandboxTraitToProto),
      running: [...view.running],
      draining: view.draining,
      version: view.facts.version,
      registeredAtMs: view.registeredAt,
      breaker: breakerToProto(view.breaker),
      cordoned: view.cordoned ?? '',
      keptFrom: view.keptFrom.join('; '),
    })),
    pools: core.pools().map((pool) => ({ ...pool, breaker: breakerToProto(pool.breaker), why: pool.why ?? '' })),
    dependencies: dependencies.map((view) => dependencyToProto(view, now)),
    holds: core.holds().map((hold) => ({
      target: hold.target,
      kind: hold.kind,
      reason: hold.reason,
      by: hold.by,
      sinceMs: hold.since,
      expiresAtMs: hold.expiresAt ?? 0,
    })),
  };
}

function breakerToProto({ kind, errors, since, lastError, probeAt }: BreakerPicture): BreakerStatus {
  return { state: kind, errors, sinceMs: since ?? 0, lastError: lastError ?? '', probeAtMs: probeAt ?? 0 };
}

/** A breaker tells the time by the host's clock. */
function dependencyToProto(view: BreakerView, now: TimeMs): DependencyStatus {
  const { dependency, kind, since, openForMs, lastFault, counts, at, detail = '' } = view;
  const sinceMs = now - (at - since);
  const probeAtMs = kind === 'open' ? now + openForMs : 0;
  return { name: dependency, breaker: { state: kind, errors: counts.faults, sinceMs, lastError: lastFault ?? '', probeAtMs }, detail };
}
