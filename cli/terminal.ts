import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/log.ts';

/** Where text goes. `columns` and `rows` are there on terminals. */
export interface Output {
  /** False where the reader is slow: wait for `drained` before much more. */
  write(data: string | Uint8Array): boolean;
  /** Resolves when what was written has been taken. */
  drained(): Promise<void>;
  readonly isTTY: boolean;
  readonly columns: number | undefined;
  readonly rows: number | undefined;
}

/** What a command has of the world; tests give their own. */
export type Terminal = {
  readonly stdout: Output;
  readonly stderr: Output;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly clock: Clock;
  readonly log: Logger;
  /** Calls `handler` on each Ctrl-C or SIGTERM until disposed. Without a handler they end the process. */
  readonly onInterrupt: (handler: () => void) => Disposable;
};

/** Whether `output` gets colours: terminals do, unless NO_COLOR is set or TERM is "dumb"; FORCE_COLOR decides otherwise. */
export function wantsColor(output: Output, env: Terminal['env']): boolean {
  if (env['FORCE_COLOR'] !== undefined && env['FORCE_COLOR'] !== '') return env['FORCE_COLOR'] !== '0';
  if (env['NO_COLOR'] !== undefined && env['NO_COLOR'] !== '') return false;
  return output.isTTY && env['TERM'] !== 'dumb';
}

/** Whether a picture can be drawn over and over: on terminals outside of CI. */
export function wantsLiveView(output: Output, env: Terminal['env']): boolean {
  const ci = env['CI'] !== undefined && env['CI'] !== '' && env['CI'] !== 'false';
  return output.isTTY && !ci && env['TERM'] !== 'dumb';
}

/**
 * Resolves when everything written has been handed to the system, or nobody will take it any more. What a pipe could not take
 * at once waits in the process, and is lost if that exits before.
 */
export function flushed(stream: NodeJS.WriteStream, signal: AbortSignal): Promise<void> {
  if (stream.destroyed || stream.writableLength === 0 || signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => resolve();
    stream.write('', done);
    stream.once('close', done);
    signal.addEventListener('abort', done, { once: true });
  });
}

/** A Node stream as an output. */
export function streamOutput(stream: NodeJS.WriteStream): Output {
  // A closed pipe ends the writing, not the process: `switchyard logs | head` is no failure.
  stream.on('error', () => {});
  return {
    write: (data) => stream.destroyed || stream.write(data),
    drained: () =>
      stream.destroyed || !stream.writableNeedDrain
        ? Promise.resolve()
        : new Promise((resolve) => {
            const done = () => {
              stream.off('drain', done).off('close', done);
              resolve();
            };
            stream.on('drain', done).on('close', done);
          }),
    isTTY: stream.isTTY === true,
    get columns() {
      return stream.isTTY ? stream.columns : undefined;
    },
    get rows() {
      return stream.isTTY ? stream.rows : undefined;
    },
  };
}
