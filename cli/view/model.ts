import { unreachable } from '../../base/assert.ts';
import type { BuildEvent, BuildSnapshot, BuildView, StepView } from '../build-view.ts';

/** A step as followed: the server's view, and what only events say. */
export type StepProgress = StepView & {
  /** The agent of the current or last attempt; '' for none. */
  readonly agent: string;
  /** Attempts so far. */
  readonly attempt: number;
  /** Why it went back to the queue; '' for the first time. */
  readonly queuedWhy: string;
  /** What it waits for, where somebody asked. */
  readonly waiting: string;
};

/** A build as followed, from a snapshot and the events after it. */
export class BuildModel {
  #build: BuildView;
  readonly #steps = new Map<string, StepProgress>();

  constructor(snapshot: BuildSnapshot) {
    this.#build = snapshot.build;
    this.replace(snapshot);
  }

  /** Starts again from a newer snapshot. */
  replace(snapshot: BuildSnapshot): void {
    this.#build = snapshot.build;
    for (const step of snapshot.steps) {
      const last = step.attempts.at(-1);
      const agent = last?.agent ?? step.result?.agent ?? '';
      this.#steps.set(step.name, { ...step, agent, attempt: last?.number ?? 0, queuedWhy: '', waiting: '' });
    }
  }

  get build(): BuildView {
    return this.#build;
  }

  get steps(): readonly StepProgress[] {
    return [...this.#steps.values()];
  }

  step(name: string): StepProgress | undefined {
    return this.#steps.get(name);
  }

  /** Notes what a waiting step waits for. */
  explain(name: string, waiting: string): void {
    this.#change(name, { waiting });
  }

  apply(event: BuildEvent): void {
    switch (event.kind) {
      case 'build-accepted':
      case 'nothing':
        return;
      case 'step-ready':
        return this.#change(event.step, { phase: 'resolving', readyAtMs: event.atMs });
      case 'step-queued': {
        const why = event.why === 'runnable' ? '' : event.why;
        return this.#change(event.step, { phase: 'queued', queuedWhy: why, waiting: '', startedAtMs: undefined, ...this.#reopened(event) });
      }
      case 'step-merged':
        return this.#change(event.step, { phase: 'merged', mergedInto: event.into });
      case 'attempt-accepted':
        return this.#change(event.step, { phase: 'running', agent: event.agent, attempt: event.number, waiting: '' });
      case 'attempt-started':
        return this.#change(event.step, { phase: 'running', agent: event.agent, attempt: event.number, startedAtMs: event.atMs });
      case 'attempt-ended':
        return;
      case 'step-ended':
        return this.#ended(event);
      case 'build-ended':
        this.#build = { ...this.#build, phase: 'ended', verdict: event.verdict, degraded: event.degraded, endedAtMs: event.atMs };
        return;
      default:
        return unreachable(event);
    }
  }

  /** A step that had ended and waits again was retried by hand: the build runs again. */
  #reopened(event: BuildEvent): Partial<StepProgress> {
    if (this.#steps.get(event.step)?.phase !== 'ended') return {};
    this.#build = { ...this.#build, phase: 'running', verdict: undefined, endedAtMs: undefined, stepsEnded: this.#build.stepsEnded - 1 };
    return { verdict: undefined, source: undefined, result: undefined, endedAtMs: undefined, message: '' };
  }

  #ended(event: Extract<BuildEvent, { kind: 'step-ended' }>): void {
    const before = this.#steps.get(event.step);
    if (before === undefined) return;
    const { verdict, source, message, failureClass, result, atMs } = event;
    const agent = result?.agent ?? before.agent;
    this.#change(event.step, { phase: 'ended', verdict, source, message, failureClass, result, endedAtMs: atMs, agent, waiting: '' });
    const again = before.phase === 'ended';
    const { stepsEnded, stepsFromCache } = this.#build;
    this.#build = {
      ...this.#build,
      stepsEnded: stepsEnded + (again ? 0 : 1),
      stepsFromCache: stepsFromCache + (source === 'cache' && !again ? 1 : 0),
    };
  }

  #change(name: string, change: Partial<StepProgress>): void {
    const before = this.#steps.get(name);
    if (before !== undefined) this.#steps.set(name, { ...before, ...change });
  }
}

/** How long the step took: its run where it ran, and nothing where its result was there. Undefined while it has not begun. */
export function timeOf(step: StepProgress, nowMs: number): number | undefined {
  if (step.startedAtMs === undefined) return step.phase === 'ended' && step.source !== undefined ? 0 : undefined;
  return (step.endedAtMs ?? nowMs) - step.startedAtMs;
}
