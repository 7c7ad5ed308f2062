import { unreachable } from '../../base/assert.ts';
import type { WatchBuildResponse } from '../../proto/gen/switchyard/v1/WatchBuildResponse.ts';
import type { BuildEvent } from '../core/record.ts';
import type { WatchItem } from '../shell/watch.ts';
import { BUILD_VERDICTS, outcomeToProto } from './build-view.ts';

/** One message to a watcher. */
export function watchItemToProto(item: WatchItem): WatchBuildResponse {
  const { cursor, event } = item;
  if (event === undefined) return { cursor };
  return { cursor, atMs: event.at, step: 'step' in event ? event.step : '', ...eventToProto(event) };
}

function eventToProto(event: BuildEvent): WatchBuildResponse {
  switch (event.kind) {
    case 'build-accepted':
      return { buildAccepted: {}, event: 'buildAccepted' };
    case 'step-ready':
      return { stepReady: {}, event: 'stepReady' };
    case 'step-queued':
      return { stepQueued: { notBeforeMs: event.notBefore ?? 0, why: event.why }, event: 'stepQueued' };
    case 'step-merged':
      return { stepMerged: { into: event.into }, event: 'stepMerged' };
    case 'attempt-accepted':
      return { attemptAccepted: { number: event.attempt, token: event.token, agent: event.agent }, event: 'attemptAccepted' };
    case 'attempt-started':
      return { attemptStarted: { number: event.attempt, agent: event.agent }, event: 'attemptStarted' };
    case 'attempt-ended':
      return { attemptEnded: { number: event.attempt, agent: event.agent, why: event.why }, event: 'attemptEnded' };
    case 'step-ended':
      return { stepEnded: outcomeToProto(event.outcome), event: 'stepEnded' };
    case 'build-ended':
      return { buildEnded: { verdict: BUILD_VERDICTS[event.outcome], degraded: [...event.degraded] }, event: 'buildEnded' };
    default:
      return unreachable(event);
  }
}
