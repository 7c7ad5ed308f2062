import { setTimeout as sleep } from 'node:timers/promises';
import { FAULTS, isFault } from '../../base/fault.ts';
import type { Prng } from '../../base/prng.ts';
import type { Secret } from '../../base/secret.ts';
import { connectBuildServer, type BuildServer } from '../../cli/rpc/client.ts';
import type { DialTls } from '../../proto/tls.ts';

/** The coordinators as a client sees them: several addresses, each of which may or may not answer. */
export interface Endpoints extends Disposable {
  /**
   * Calls `use` with one coordinator after the other, in random order and with growing waits, until one answers or the
   * signal aborts. What is not passing is thrown.
   */
  call<T>(use: (server: BuildServer, signal: AbortSignal) => Promise<T>, signal: AbortSignal): Promise<T>;
  /** One of them, drawn. */
  any(): BuildServer;
}

const WAIT_MIN_MS = 100;
const WAIT_MAX_MS = 1_500;
/** A coordinator that is stopped answers nothing: then another one is asked. */
const CALL_MS = 5_000;

/** Whether the same call may succeed later, or elsewhere. */
export function isPassing(error: unknown): boolean {
  return isFault(error) && (FAULTS[error.code].retry === 'backoff' || error.code === 'CANCELLED' || error.code === 'DEADLINE');
}

/** @param addresses where each coordinator listens for callers; `tlsOf` says how it is dialled, in clear where that is undefined. */
export function openEndpoints(
  addresses: readonly string[],
  token: Secret | undefined,
  prng: Prng,
  tlsOf: (address: string) => DialTls | undefined = () => undefined,
): Endpoints {
  const servers = addresses.map((address) => connectBuildServer({ address, token, tls: tlsOf(address) }));
  const any = (): BuildServer => {
    const server = servers[prng.below(servers.length)];
    if (server === undefined) throw new Error('There are no coordinators');
    return server;
  };
  return {
    any,
    async call(use, signal) {
      for (let tries = 0; ; tries += 1) {
        try {
          return await use(any(), AbortSignal.any([signal, AbortSignal.timeout(CALL_MS)]));
        } catch (error) {
          if (signal.aborted || !isPassing(error)) throw error;
        }
        const most = Math.min(WAIT_MAX_MS, WAIT_MIN_MS * 2 ** Math.min(tries, 8));
        await sleep(most * (0.5 + prng.next() / 2), undefined, { signal });
      }
    },
    [Symbol.dispose]() {
      for (const server of servers) server[Symbol.dispose]();
    },
  };
}
