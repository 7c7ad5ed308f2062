import { randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { backoffMs } from '../../base/backoff.ts';
import { systemClock } from '../../base/clock.ts';
import { isFault, type Fault, type FaultCode } from '../../base/fault.ts';
import { prngFrom } from '../../base/prng.ts';

/** Called when a server did not answer and another one is asked instead. */
export type OnMoved = (from: string, to: string, why: Fault) => void;

/** Several servers that answer the same calls; at each time one of them is used. */
export interface Failover<C> extends Disposable {
  /**
   * Makes a call that may be made twice. Where the server is away, it is made at the others, round by round, with growing
   * waits between the rounds. With one address there is one try. @throws {Fault} the last one
   */
  call<T>(call: (client: C) => Promise<T>, signal: AbortSignal): Promise<T>;
  /** Makes a call that may not be made twice, at the server that answered last. */
  once<T>(call: (client: C) => Promise<T>): Promise<T>;
  /** Opens a stream. When its server goes away it throws, and whoever opens it again where it was gets it from another one. */
  stream<T>(open: (client: C) => AsyncIterable<T>): AsyncGenerator<T, void, void>;
}

/** Faults of the server and not of the call: another one, or the same a little later, may do better. */
const AWAY: ReadonlySet<FaultCode> = new Set<FaultCode>(['PEER_UNAVAILABLE', 'DRAINING', 'LEDGER_UNAVAILABLE', 'NO_LEADER', 'DEADLINE']);
/** From the first failed try of a call to the last: longer than a leader takes to be replaced. */
const PATIENCE_MS = 15_000;
const BACKOFF = { initialMs: 200, maxMs: 2_000 };

/** `open` makes the client of an address; `close` ends it. Nothing is dialled before the first call. */
export function failover<C>(options: {
  readonly addresses: readonly string[];
  readonly open: (address: string) => C;
  readonly close: (client: C) => void;
  readonly onMoved: OnMoved;
}): Failover<C> {
  const { addresses, open, close, onMoved } = options;
  const prng = prngFrom(randomInt(2 ** 47));
  let at = Math.floor(prng.next() * addresses.length);
  let client = open(addresses[at] ?? '');
  /** Goes on to the next server, unless somebody else has done so since `used` was. */
  const moveFrom = (used: C, why: Fault): void => {
    if (used !== client || addresses.length === 1) return;
    const from = addresses[at] ?? '';
    at = (at + 1) % addresses.length;
    client = open(addresses[at] ?? '');
    close(used);
    onMoved(from, addresses[at] ?? '', why);
  };
  return {
    async call(call, signal) {
      let since: number | undefined;
      for (let tries = 1; ; tries += 1) {
        const used = client;
        try {
          return await call(used);
        } catch (error) {
          if (!isAway(error) || signal.aborted) throw error;
          moveFrom(used, error);
          const now = systemClock.monotonic();
          since ??= now;
          if (addresses.length === 1 || now - since >= PATIENCE_MS) throw error;
          if (tries % addresses.length !== 0) continue;
          await sleep(backoffMs(BACKOFF, tries / addresses.length, prng), undefined, { signal });
        }
      }
    },
    once: (call) => call(client),
    async *stream(openStream) {
      const used = client;
      try {
        yield* openStream(used);
      } catch (error) {
        if (isAway(error)) moveFrom(used, error);
        throw error;
      }
    },
    [Symbol.dispose]: () => close(client),
  };
}

function isAway(error: unknown): error is Fault {
  return isFault(error) && AWAY.has(error.code);
}
