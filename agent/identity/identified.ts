import { setTimeout as sleep } from 'node:timers/promises';
import { backoffMs } from '../../base/backoff.ts';
import type { Env } from '../../base/env.ts';
import { isFault } from '../../base/fault.ts';
import type { Prng } from '../../base/prng.ts';
import type { TlsSource } from '../../base/tls-source.ts';
import type { Dialler } from '../session/stream.ts';
import type { IdentityClient } from './keeper.ts';

/** Shows each new certificate to the coordinator that the agent's stream is at, so that the stream may live longer than the one before. */
export interface Identified extends Disposable {
  /** The dialler, with an eye on where it opens streams. */
  dialler(next: Dialler): Dialler;
}

export type IdentifiedOptions = {
  readonly source: TlsSource;
  readonly client: Pick<IdentityClient, 'identify'>;
  readonly prng: Prng;
  readonly env: Env;
};

const RETRY = { initialMs: 200, maxMs: 5_000 };

export function stayIdentified({ source, client, prng, env }: IdentifiedOptions): Identified {
  let address: string | undefined;
  let showing = new AbortController();
  const show = async (signal: AbortSignal) => {
    for (let tries = 0; ; tries += 1) {
      if (address === undefined) return; // the first stream shows it
      try {
        return await client.identify(address, source, signal);
      } catch (error) {
        if (signal.aborted || isFault(error, 'UNIMPLEMENTED')) return; // an older coordinator, which ends no stream for it
        // Also where it is refused: a coordinator may not have read a new authority yet.
        env.log.warn('certificate-not-shown-yet', { coordinator: address, error });
        await sleep(backoffMs(RETRY, tries, prng), undefined, { signal });
      }
    }
  };
  const watch = source.onChange(() => {
    showing.abort();
    showing = new AbortController();
    const { signal } = showing;
    show(signal).catch((error: unknown) => {
      if (!signal.aborted) env.log.error('certificate-not-shown', { error });
    });
  });
  return {
    dialler: (next) => ({
      addresses: next.addresses,
      open(at, listener) {
        address = at;
        return next.open(at, listener);
      },
    }),
    [Symbol.dispose]() {
      watch[Symbol.dispose]();
      showing.abort();
    },
  };
}
