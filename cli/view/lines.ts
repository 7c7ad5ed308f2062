import { unreachable } from '../../base/assert.ts';
import type { BuildEvent } from '../build-view.ts';
import type { Followed } from '../follow.ts';
import { count, formatTime, printable, type Style } from './format.ts';
import { timeOf, type BuildModel, type StepProgress } from './model.ts';

/** What a log of plain lines says about `followed`, which `model` has seen already. Pure. */
export function linesOf(followed: Followed, model: BuildModel, style: Style): readonly string[] {
  switch (followed.kind) {
    case 'snapshot':
      return snapshotLines(model, style);
    case 'event':
      return eventLines(followed.event, model, style);
    case 'lost':
      return [style.warn(`Connection lost (${printable(followed.reason)}), trying again: the build goes on meanwhile`)];
    case 'back':
      return [style.good('Connected again')];
    default:
      return unreachable(followed);
  }
}

/** Steps that had ended before we looked; more would drown the rest. */
const SNAPSHOT_LINES_MAX = 100;

function snapshotLines(model: BuildModel, style: Style): readonly string[] {
  const { build } = model;
  const ended = model.steps
    .filter((step) => step.phase === 'ended')
    .toSorted((left, right) => (left.endedAtMs ?? 0) - (right.endedAtMs ?? 0));
  const line = (step: StepProgress) => {
    const at = step.endedAtMs ?? build.acceptedAtMs;
    return `${style.dim(formatTime(at - build.acceptedAtMs).padStart(7))}  ${step.name}  ${endText(step, at, style)}`;
  };
  return [
    `${style.bold(`Build ${build.id}`)} "${printable(build.name)}": ${count(build.stepsTotal, 'step')}`,
    ...ended.slice(0, SNAPSHOT_LINES_MAX).map(line),
    ...(ended.length > SNAPSHOT_LINES_MAX ? [style.dim(`         … and ${ended.length - SNAPSHOT_LINES_MAX} more have ended`)] : []),
  ];
}

function eventLines(event: BuildEvent, model: BuildModel, style: Style): readonly string[] {
  const step = model.step(event.step);
  const at = formatTime(event.atMs - model.build.acceptedAtMs).padStart(7);
  const line = (text: string) => [`${style.dim(at)}  ${event.step}  ${text}`];
  switch (event.kind) {
    case 'step-queued':
      return event.why === 'runnable' || event.why === '' ? [] : line(style.warn(againText(step, event.why)));
    case 'step-merged':
      return line(`joins ${printable(event.into)}, which does the same`);
    case 'attempt-started':
      return line(`${style.live('runs')} on ${event.agent}${event.number > 1 ? ` (attempt ${event.number})` : ''}`);
    case 'step-ended':
      return step === undefined ? [] : line(endText(step, event.atMs, style));
    case 'build-accepted':
    case 'step-ready':
    case 'attempt-accepted':
    case 'attempt-ended': // the step's end or its return to the queue says why
    case 'build-ended':
    case 'nothing':
      return [];
    default:
      return unreachable(event);
  }
}

function againText(step: StepProgress | undefined, why: string): string {
  const attempt = step === undefined || step.attempt === 0 ? '' : `attempt ${step.attempt} on ${step.agent} ended, `;
  return `${attempt}waits again: ${printable(why)}`;
}

/** How a step ended, in a few words. */
export function endText(step: StepProgress, nowMs: number, style: Style): string {
  const time = formatTime(timeOf(step, nowMs) ?? 0);
  const again = step.attempt > 1 ? ` (attempt ${step.attempt})` : '';
  if (step.verdict === 'succeeded') {
    if (step.source === 'cache') return style.good('succeeded, from the cache');
    if (step.source === 'merge') return style.good('succeeded, with the result of an equal step');
    return `${style.good('succeeded')} in ${time}${again}`;
  }
  const why = step.message === '' ? '' : `: ${printable(step.message)}`;
  if (step.verdict === 'skipped' || step.verdict === 'cancelled') return style.dim(`${step.verdict}${why}`);
  const after = step.startedAtMs === undefined ? '' : ` after ${time}${again}`;
  return `${style.bad(step.verdict ?? 'ended')}${after}${why}${step.critical ? '' : ' (the build goes on without it)'}`;
}
