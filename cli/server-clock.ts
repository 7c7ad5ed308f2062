import type { Clock } from '../base/clock.ts';
import type { BuildServer } from './rpc/client.ts';

/**
 * The time that the server's times are in, so that ages and expiries are right whatever this host's clock says. This host's
 * own where the server does not tell its time. @throws {Fault} why the server cannot be asked
 */
export async function serverClock(server: Pick<BuildServer, 'server'>, clock: Clock, signal: AbortSignal): Promise<Clock> {
  const { nowMs } = await server.server(signal);
  if (nowMs === undefined) return clock;
  const originMs = nowMs - clock.monotonic();
  return { now: () => Math.floor(originMs + clock.monotonic()), monotonic: () => clock.monotonic() };
}

/** As `serverClock`, without waiting for the server: until it answers, the time is this host's. */
export function serverClockSoon(server: Pick<BuildServer, 'server'>, clock: Clock, signal: AbortSignal): Clock {
  let known = clock;
  serverClock(server, clock, signal).then(
    (answered) => (known = answered),
    () => {}, // whoever needs the server finds out that it is away
  );
  return { now: () => known.now(), monotonic: () => clock.monotonic() };
}
