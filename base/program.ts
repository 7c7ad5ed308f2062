import { isFault } from './fault.ts';

/* What every process of ours does between its start and its exit code. */

/** Exit codes: 0 told to end, 1 could not go on (start it again), 2 wrong configuration. */
export type ExitCode = 0 | 1 | 2;

/** Says on standard error why the process ends, with the stack only of what nobody foresaw. */
export function failed(error: unknown): ExitCode {
  const hint = isFault(error) && error.hint !== undefined ? `\n${error.hint}` : '';
  const known = isFault(error) && error.code !== 'INTERNAL';
  const text = error instanceof Error ? (known ? error.message : (error.stack ?? error.message)) : String(error);
  process.stderr.write(`${text}${hint}\n`);
  return isFault(error, 'CONFIG_INVALID') ? 2 : 1;
}

/** Why the process is to end: a signal's name, or that its parent has gone, where it is to end with that. */
export function untilStopped(withParent: boolean): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => resolve(signal));
  if (withParent) onParentEnd(() => resolve('the parent ended'));
  return promise;
}

/** Calls `run` once, when standard input ends: a pipe that the parent holds open for as long as it lives. */
export function onParentEnd(run: () => void): void {
  let called = false;
  const once = () => {
    if (!called) run();
    called = true;
  };
  process.stdin.on('end', once);
  process.stdin.on('error', once);
  process.stdin.resume();
}
