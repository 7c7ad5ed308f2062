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

/** Most of one bundle: of paths as long as they may be it is a megabyte. */
export const BUNDLE_WEIGHT = 256;

/** An event and each output that it names count as one. */
export function watchItemWeight({ event }: WatchItem): number {
  if (event?.kind !== 'step-ended') return 1;
  const { outcome } = event;
  const result = outcome.kind === 'succeeded' || outcome.kind === 'failed' ? outcome.result : undefined;
  return 1 + (result?.outputs.length ?? 0);
}

/** One message of items that came together. */
export function watchBundleToProto([first, ...more]: readonly [WatchItem, ...WatchItem[]]): WatchBuildResponse {
  return { ...watchItemToProto(first), more: more.map(watchItemToProto) };
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
