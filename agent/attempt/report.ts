import { statfsSync } from 'node:fs';
import type { FailureClass } from '../../base/failure.ts';
import { Fault, isFault, type FaultCode } from '../../base/fault.ts';
import { reasonOf } from '../../base/thrown.ts';
import type { AttemptReport, StepResult } from '../../cache/action/result.ts';
import { StopRequest } from '../sandbox/sandbox.ts';

/** Why an attempt was told to stop; the reason of its abort signal. */
export class AttemptStopped extends StopRequest {
  readonly class: FailureClass;

  constructor(cause: { readonly class: FailureClass; readonly message: string; readonly graceMs: number }) {
    super(cause.message, cause.graceMs);
    this.class = cause.class;
  }
}

/** Errors of the operating system that say that the host has run out of something. */
const SHORTAGES: Readonly<Record<string, string>> = {
  ENOSPC: 'The disk is full',
  EDQUOT: 'The disk quota is used up',
  EMFILE: 'The agent has no file descriptors left',
  ENFILE: 'The host has no file descriptors left',
  ENOMEM: 'The host has no memory left',
  EROFS: 'The disk is read-only',
  EIO: 'The disk fails',
};

/** What the host lacks, where `error` or one of its causes says so. */
export function shortageOf(error: unknown): string | undefined {
  for (let cause = error, depth = 0; cause instanceof Error && depth < 8; cause = cause.cause, depth += 1) {
    if ('code' in cause && typeof cause.code === 'string' && Object.hasOwn(SHORTAGES, cause.code)) return SHORTAGES[cause.code];
  }
  return undefined;
}

/** With less than this left, a command that failed most likely failed for want of room. */
const FULL_BELOW_BYTES = 1024 * 1024;

/** As an error, where the disk that holds `path` has no room left: a command that could not write is not to blame for it. */
export function fullDisk(path: string): Error | undefined {
  const { bavail, bsize } = statfsSync(path);
  if (bavail * bsize >= FULL_BELOW_BYTES) return undefined;
  return Object.assign(new Error(`the disk with ${path} was full when the command failed`), { code: 'ENOSPC' });
}

/** Where an attempt was when something was thrown. */
export type Stage = 'prepare' | 'run' | 'store';

/** Faults that mean that the step asked for the impossible: its own failure, the same on every agent. */
const STEPS_OWN: ReadonlySet<FaultCode> = new Set(['BAD_REQUEST', 'PATH_ESCAPES', 'TOO_LARGE']);

/** The class of what was thrown in `stage`. */
export function classOf(error: unknown, stage: Stage): FailureClass {
  if (shortageOf(error) !== undefined) return 'sandbox-error';
  if (!(error instanceof Fault)) return 'sandbox-error';
  if (STEPS_OWN.has(error.code)) return stage === 'store' ? 'output' : 'exit';
  return error.code === 'SANDBOX_UNAVAILABLE' || stage === 'run' ? 'sandbox-error' : 'cache-error';
}

const DOING: Readonly<Record<Stage, string>> = {
  prepare: 'The inputs could not be made ready',
  run: 'The command could not be run',
  store: 'The outputs could not be stored',
};

/** The report of an attempt that ended in `stage` because `error` was thrown or it was told to stop. */
export function reportOf(error: unknown, stage: Stage, signal: AbortSignal, result: StepResult | undefined): AttemptReport {
  const stopped: unknown = signal.reason;
  if (stopped instanceof AttemptStopped) return { kind: 'failed', class: stopped.class, message: stopped.message, result: undefined };
  const shortage = shortageOf(error);
  const detail = reasonOf(error);
  const hint = error instanceof Fault && error.hint !== undefined ? `. ${error.hint}` : '';
  const message = shortage === undefined ? `${DOING[stage]}: ${detail}${hint}` : `${shortage}: ${detail}`;
  const storeAway = isFault(error, 'BUCKET_UNAVAILABLE') ? { storeAway: true } : {};
  return { kind: 'failed', class: classOf(error, stage), message, result, ...storeAway };
}
