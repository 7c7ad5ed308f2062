import type { SealedLog, StepResult } from '../../cache/action/result.ts';
import type { StepId } from '../core/ids.ts';

/** Lets results whose log is still on its way wait for it. */
export interface LoggedResults {
  /** The log of the step's attempt, which its agent could not store, will be what `closed` says. */
  closing(step: StepId, closed: Promise<SealedLog | 'nothing' | 'unknown'>): void;
  /** Calls `publish` with the result and its log: at once, or when the log is a blob; never where that cannot be known. */
  whenLogged(step: StepId, result: StepResult, publish: (result: StepResult) => void): void;
}

/**
 * An entry of the action cache without its log would be shown without one for ever, though the coordinator has it: agents report a
 * success without a stored log where the store took none, and the log becomes a blob when there is room again.
 */
export function loggedResults(): LoggedResults {
  const waiting = new Map<StepId, Promise<SealedLog | 'nothing' | 'unknown'>>();
  return {
    closing(step, closed) {
      waiting.set(step, closed);
      void closed.then(() => {
        if (waiting.get(step) === closed) waiting.delete(step);
      });
    },
    whenLogged(step, result, publish) {
      const closed = result.log === undefined ? waiting.get(step) : undefined;
      if (closed === undefined) return publish(result);
      void closed.then((log) => {
        if (log !== 'unknown') publish(log === 'nothing' ? result : { ...result, log });
      });
    },
  };
}
