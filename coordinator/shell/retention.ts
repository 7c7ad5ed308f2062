import type { Env } from '../../base/env.ts';
import { isFault } from '../../base/fault.ts';
import type { CoreView } from './core-view.ts';
import type { Driver } from './driver.ts';

export type RetentionOptions = {
  readonly core: Pick<CoreView, 'builds'>;
  readonly driver: Driver;
  readonly env: Env;
  /** How long a build is kept after it ended. */
  readonly keepMs: number;
  /** Ended builds that are kept at most; the oldest go first. */
  readonly keepCount: number;
  /** Time between two looks. */
  readonly everyMs: number;
};

/** Builds that leave in one look: a bound on what one turn of the loop costs. */
const BATCH = 256;

/** Lets builds leave the ledger, with their logs, once they ended long enough ago or too many newer ones are kept. */
export function startRetention(options: RetentionOptions): Disposable & { sweep(): Promise<number> } {
  const sweep = async (): Promise<number> => {
    const { core, driver } = options;
    const old = core.builds({ phase: 'ended', endedBy: driver.now() - options.keepMs, limit: BATCH });
    const ended = core.builds({ phase: 'ended', limit: options.keepCount + BATCH });
    const leaving = new Set([...old, ...ended.slice(options.keepCount)].map((view) => view.record.id));
    await Promise.all([...leaving].map((id) => driver.submit({ kind: 'build-expired', id })));
    if (leaving.size > 0) options.env.log.info('builds-expired', { count: leaving.size });
    return leaving.size;
  };
  const timer = setInterval(() => {
    sweep().catch((error: unknown) => {
      if (!isFault(error, 'LEDGER_UNAVAILABLE') && !isFault(error, 'DRAINING')) options.env.log.error('retention-failed', { error });
    });
  }, options.everyMs);
  timer.unref();
  return { sweep, [Symbol.dispose]: () => clearInterval(timer) };
}
