import { isFault, type FaultCode } from '../base/fault.ts';
import { reasonOf } from '../base/thrown.ts';

/** What the process says when it ends; `exec` passes on the step's own code instead of `failed`. */
export const EXIT = {
  ok: 0,
  /** The build failed, or the server refused. */
  failed: 1,
  /** Wrong options, or a pipeline file with errors. */
  usage: 2,
  /** No server was found, or it cannot be reached. */
  unreachable: 3,
  /** Ctrl-C, or the build was cancelled. */
  cancelled: 130,
} as const;

/** The command line itself is wrong; the message says what and how to put it right. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
  readonly hint: string | undefined;

  constructor(message: string, hint?: string) {
    super(message);
    this.hint = hint;
  }
}

const CODES: Partial<Record<FaultCode, number>> = {
  CONFIG_INVALID: EXIT.usage,
  PEER_UNAVAILABLE: EXIT.unreachable,
  DEADLINE: EXIT.unreachable,
  DRAINING: EXIT.unreachable,
  CANCELLED: EXIT.cancelled,
};

export function exitCodeOf(error: unknown): number {
  if (error instanceof UsageError) return EXIT.usage;
  if (isFault(error)) return CODES[error.code] ?? EXIT.failed;
  return error instanceof Error && error.name === 'AbortError' ? EXIT.cancelled : EXIT.failed;
}

/** `message`, and the fix on a line of its own. Unknown errors show where they came from: they are bugs of ours. */
export function errorText(error: unknown): string {
  if (error instanceof UsageError || isFault(error)) {
    return error.hint === undefined ? error.message : `${error.message}\n    fix: ${error.hint}`;
  }
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

/** The same for `--output json`, on standard error. */
export function errorJson(error: unknown): string {
  const fault = isFault(error) ? error : undefined;
  const code = fault?.code ?? (error instanceof UsageError ? 'USAGE' : 'INTERNAL');
  const message = reasonOf(error);
  const hint = error instanceof UsageError ? error.hint : fault?.hint;
  return JSON.stringify({
    error: { code, message, ...(hint === undefined ? {} : { hint }), ...(fault?.field === undefined ? {} : { field: fault.field }) },
  });
}
