import type { FailureClass } from '../../base/failure.ts';
import { formatDurationMs } from '../../base/quantity.ts';
import type { BuildNode, StepNode } from './nodes.ts';
import type { BuildOutcome, StepOutcome } from './state.ts';
import { nextSeq, type Turn } from './turn.ts';
import { unsealedLines } from './unsealed.ts';

/** Ends the build once its last step has. */
export function endBuildIfOver(turn: Turn, build: BuildNode): void {
  if (build.state.kind === 'ended' || build.endedCount < build.steps.length) return;
  const outcome = outcomeOf(build);
  const degraded = degradedOf(build);
  turn.changeBuild(
    build,
    { kind: 'ended', outcome, at: turn.now, degraded },
    {
      seq: nextSeq(build),
      at: turn.now,
      kind: 'build-ended',
      outcome,
      degraded,
    },
  );
}

/** A build is as good as its critical steps; what was skipped because of others is judged by those others. */
function outcomeOf(build: BuildNode): BuildOutcome {
  let failed = false;
  let cancelled = false;
  let timedOut = false;
  for (const step of build.steps) {
    const outcome = outcomeOfStep(step);
    if (outcome === undefined || !step.spec.critical) continue;
    if (outcome.kind === 'cancelled') cancelled = true;
    else if (outcome.kind === 'timed-out' && outcome.bound === 'build') timedOut = true;
    else if (outcome.kind !== 'succeeded' && outcome.kind !== 'skipped') failed = true;
  }
  const asked = build.state.kind === 'running' && build.state.cancelling !== undefined;
  if (asked && build.steps.some((step) => outcomeOfStep(step)?.kind === 'cancelled')) return 'cancelled';
  if (timedOut) return 'timed-out';
  if (failed) return 'failed';
  return cancelled ? 'cancelled' : 'succeeded';
}

/** What the build went on without, a sentence each. */
export function degradedOf(build: BuildNode): readonly string[] {
  const sentences: string[] = [];
  for (const step of build.steps) {
    const outcome = outcomeOfStep(step);
    if (outcome === undefined || outcome.kind === 'succeeded') continue;
    if (outcome.kind === 'skipped' ? outcome.why === 'lagged' : !step.spec.critical)
      sentences.push(`${step.spec.name}: ${describe(outcome)}`);
  }
  return [...sentences, ...unsealedLines(build.steps)];
}

function outcomeOfStep(step: StepNode): StepOutcome | undefined {
  return step.record.state.kind === 'ended' ? step.record.state.outcome : undefined;
}

const CLASS_TEXT: Readonly<Record<FailureClass, string>> = {
  exit: 'its command failed',
  timeout: 'it ran too long',
  output: 'its inputs or outputs were not what they may be',
  oom: 'it took more memory than it asked for',
  'agent-lost': 'its agents were lost',
  'agent-stop': 'its agents stopped',
  'sandbox-error': 'its sandbox could not be set up',
  'cache-error': 'the cache could not be used',
  cancelled: 'it was cancelled',
};

/** A step's end in words. */
export function describe(outcome: StepOutcome): string {
  switch (outcome.kind) {
    case 'succeeded':
      return { run: 'it ran and succeeded', cache: 'an earlier result was used', merge: 'the result of an equal step was used' }[
        outcome.from
      ];
    case 'failed':
    case 'errored':
      return `${CLASS_TEXT[outcome.class]} (${outcome.message})`;
    case 'quarantined':
      return `it is in quarantine: attempts of it took down ${outcome.agents.join(', ')}`;
    case 'timed-out':
      return { queue: 'no agent took it in time', total: 'its total time was over', build: "the build's time was over" }[outcome.bound];
    case 'cancelled':
      return `${outcome.by} cancelled it (${outcome.reason})`;
    case 'skipped':
      return `it was skipped: ${outcome.detail}`;
  }
}

/** For the words of a lag. */
export function lagDetail(afterMs: number): string {
  return `it could not start within ${formatDurationMs(afterMs)}`;
}
