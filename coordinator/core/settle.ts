import { endBuildIfOver } from './build-end.ts';
import { settleFollowers } from './merge.ts';
import type { BuildNode, StepNode } from './nodes.ts';
import { leaseOf } from './step-record.ts';
import { skip, unblock, unended, withdraw } from './step-moves.ts';
import type { Turn } from './turn.ts';

/**
 * What follows from steps that have ended: followers, dependents, fail-fast, the build's end. A loop and no recursion, so
 * that a chain of 100,000 skipped steps is no deeper than one.
 */
export function settle(turn: Turn): void {
  unblockAll(turn);
  if (turn.ended.length === 0) return;
  // The list grows while it is gone through.
  for (const next of turn.ended) {
    settleFollowers(turn, next);
    const { failFast: asked } = next.build.record.spec;
    if (asked && next.spec.critical && hasFailed(next)) failFast(turn, next.build, `${next.spec.name} did not succeed`);
    unblockAll(turn);
    endBuildIfOver(turn, next.build);
  }
  turn.ended.length = 0;
}

function hasFailed({ record: { state } }: StepNode): boolean {
  return state.kind === 'ended' && !['succeeded', 'skipped', 'cancelled'].includes(state.outcome.kind);
}

function unblockAll(turn: Turn): void {
  const { unblocked } = turn.yard.index;
  if (unblocked.length === 0) return;
  for (const step of unblocked.splice(0)) if (step.record.state.kind === 'blocked' && step.waiting === 0) unblock(turn, step);
}

/** Skips what has not started, but for steps that are there for the case of failure. */
export function failFast(turn: Turn, build: BuildNode, detail: string): void {
  for (const step of unended(build)) {
    if (step.spec.runIf !== 'succeeded' || step.record.state.kind === 'running') continue;
    if (leaseOf(step.record) !== undefined) withdraw(turn, step);
    skip(turn, step, 'fail-fast', detail);
  }
}
