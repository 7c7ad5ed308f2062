import { pino } from 'pino';
import type { OptionSpec } from './options.ts';

export type LogFields = Readonly<Record<string, unknown>>;

/**
 * `event` is a constant kebab-case name; everything that varies is a field. Ids are always called `build`, `step`,
 * `agent`, `epoch`, `token`. An error is logged once, by whoever stops it, as the field `error`.
 */
export interface Logger {
  debug(event: string, fields?: LogFields): void;
  info(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  error(event: string, fields?: LogFields): void;
  /** A logger that adds `fields` to every entry. */
  with(fields: LogFields): Logger;
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent';

/** How much a process says, for the tables of all of them. */
export const LOG_OPTIONS = {
  logLevel: {
    type: 'choice',
    choices: ['debug', 'info', 'warn', 'error', 'silent'],
    default: 'info',
    help: 'What goes to standard error.',
  },
} as const satisfies Readonly<Record<string, OptionSpec>>;

/** JSON lines on standard error. */
export function jsonLogger(level: LogLevel): Logger {
  const root = pino({ level, base: {}, serializers: { error: pino.stdSerializers.err } }, pino.destination({ dest: 2, sync: true }));
  const over = (child: typeof root): Logger => ({
    debug: (event, fields) => child.debug(fields ?? {}, event),
    info: (event, fields) => child.info(fields ?? {}, event),
    warn: (event, fields) => child.warn(fields ?? {}, event),
    error: (event, fields) => child.error(fields ?? {}, event),
    with: (fields) => over(child.child(fields)),
  });
  return over(root);
}

export type LogEntry = { readonly level: Exclude<LogLevel, 'silent'>; readonly event: string; readonly fields: LogFields };

/** Keeps the entries instead of printing them: for tests that assert what was logged. */
export function memoryLogger(): Logger & { readonly entries: readonly LogEntry[] } {
  const entries: LogEntry[] = [];
  const over = (bound: LogFields): Logger => {
    const add = (level: LogEntry['level']) => (event: string, fields?: LogFields) =>
      void entries.push({ level, event, fields: { ...bound, ...fields } });
    return {
      debug: add('debug'),
      info: add('info'),
      warn: add('warn'),
      error: add('error'),
      with: (fields) => over({ ...bound, ...fields }),
    };
  };
  return { ...over({}), entries };
}

/** Says nothing. */
export const silentLogger: Logger = (() => {
  const logger: Logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {}, with: () => logger };
  return logger;
})();
