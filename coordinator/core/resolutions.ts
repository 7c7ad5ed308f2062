import { unreachable } from '../../base/assert.ts';
import { backoffMs } from '../../base/backoff.ts';
import type { Resolution } from './event.ts';
import { follow } from './merge.ts';
import type { StepNode } from './nodes.ts';
import type { StepSpec } from './spec.ts';
import type { ResolvedAction } from './state.ts';
import { end, queue } from './step-moves.ts';
import { mergeKeyOf } from './step-index.ts';
import type { Turn } from './turn.ts';
import { rerunProducers } from './unsealed.ts';

/** Waits between two tries to work out an action while the cache cannot be asked. */
const TRY_AGAIN = { initialMs: 500, maxMs: 15_000 };

/** Steps that are resolved here in one turn: those of a large build go through the shell, which takes turns with other work. */
const AT_ONCE_MAX = 128;

/** Has the actions of steps worked out: by the shell, but for those that ask for nothing from anywhere. */
export function resolveSteps(turn: Turn): void {
  if (turn.resolving.length === 0) return;
  let left = AT_ONCE_MAX;
  for (const step of turn.resolving.splice(0)) {
    if (step.record.state.kind !== 'resolving') continue;
    if (left === 0 || !standsAlone(step.spec)) turn.send({ kind: 'resolve', step: step.id });
    else {
      left -= 1;
      takeResolution(turn, step, { kind: 'ready', action: ownAction(step.spec) });
    }
  }
}

/** Whether nothing is grafted into its inputs, nothing placed beside them and no result looked up. */
function standsAlone({ cacheable, needs, dependencyCaches = [] }: StepSpec): boolean {
  return !cacheable && dependencyCaches.length === 0 && !needs.some((need) => need.outputs);
}

/** The action of such a step. */
export function ownAction({ given, inputRoot, inputBytes }: StepSpec): ResolvedAction {
  const parts = inputBytes > 0 ? [{ root: inputRoot, bytes: inputBytes }] : [];
  return { ...(given === undefined ? {} : { action: given.action }), inputRoot, inputBytes, parts };
}

/** The shell has worked out a step's action, or could not. */
export function takeResolution(turn: Turn, step: StepNode, resolution: Resolution): void {
  if (step.record.state.kind !== 'resolving' || step.resolveAt !== undefined) return;
  if (resolution.kind !== 'unavailable') step.unresolvedSince = undefined;
  switch (resolution.kind) {
    case 'ready':
      step.cacheNotes = resolution.cache;
      for (const { found } of resolution.action.dependencies ?? []) turn.yard.tally.dependencyLookups[found.kind] += 1;
      return queueOrFollow(turn, step, resolution.action);
    case 'hit':
      return end(
        turn,
        step,
        { kind: 'succeeded', from: 'cache', result: resolution.result },
        { ...step.record, action: resolution.action },
      );
    case 'invalid':
      return end(turn, step, { kind: 'failed', class: 'output', message: resolution.message, result: undefined });
    case 'inputs-lost':
      if (rerunProducers(turn, step, resolution.producers ?? [])) return;
      return end(turn, step, { kind: 'errored', class: 'cache-error', message: resolution.message });
    case 'unavailable':
      step.waitNote = `the cache could not be asked: ${resolution.message}`;
      step.unresolvedSince ??= turn.now;
      turn.yard.tally.cacheUnavailable += 1;
      // Spread, so that the first who finds the cache back is not followed by everybody at once.
      step.resolveAt = turn.now + 100 + (resolution.retryAfterMs ?? 0) + backoffMs(TRY_AGAIN, step.resolveTries, turn.prng);
      step.resolveTries += 1;
      return turn.yard.index.setTimer(step);
    default:
      return unreachable(resolution);
  }
}

function queueOrFollow(turn: Turn, step: StepNode, action: ResolvedAction): void {
  const key = mergeKeyOf(step, action);
  const primary = key === undefined ? undefined : turn.yard.index.primaries.get(key);
  step.waitNote = undefined;
  if (primary === undefined || isStopping(primary)) return queue(turn, step, undefined, 'runnable', { ...step.record, action });
  turn.change(step, { ...step.record, action });
  follow(turn, step, primary);
}

/** A primary that was told to stop will have no result to share. */
function isStopping(primary: StepNode): boolean {
  const { state } = primary.record;
  return state.kind === 'running' && state.cancelling !== undefined;
}
