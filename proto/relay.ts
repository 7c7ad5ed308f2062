import type { TimeMs } from '../base/clock.ts';
import { wordFor, type Vouching } from '../base/vouch.ts';
import type { ChannelCredentials, Client, ClientOptions } from '@grpc/grpc-js';
import { Fault } from '../base/fault.ts';
import { dial, type CallerOptions } from './dial.ts';
import type { Call } from './handlers.ts';
import type { DialTls } from './tls.ts';

/** Marks a call that one of our processes has handed on to another. */
const MARK = 'switchyard-relayed';

/** What goes along with a call that is handed on: what the call is part of. */
const KEPT = ['build.bazel.remote.execution.v2.requestmetadata-bin'] as const;

type Make<C extends Client> = new (address: string, creds: ChannelCredentials, options?: ClientOptions) => C;

/**
 * Hands calls on to another process of ours as the caller's own: with its credential and deadline, ended when it gives up. Whoever
 * hands a call on has seen who calls: one without a credential comes from this host, and is let in by both or by neither.
 */
export class Relay implements Disposable {
  readonly #now: () => number;
  readonly #tls: DialTls | undefined;
  readonly #vouching: Vouching | undefined;
  /** The newest connection of each service. */
  readonly #clients = new Map<unknown, { readonly address: string; readonly client: Client }>();

  constructor(now: () => number, tls?: DialTls, vouching?: Vouching) {
    this.#now = now;
    this.#tls = tls;
    this.#vouching = vouching;
  }

  /** A client of the service at `address`; calls under way at an earlier address go on. */
  client<C extends Client>(make: Make<C>, address: string): C {
    const known = this.#clients.get(make);
    if (known?.address === address) return known.client as C; // kept under what made it
    known?.client.close();
    const client = dial(make, { address, token: undefined, tls: this.#tls }, 'control');
    this.#clients.set(make, { address, client });
    return client;
  }

  /** How the call is made again at the other process. @throws {Fault} NO_LEADER where it has come a longer way than calls do */
  options(call: Call, hopsMax: number): CallerOptions {
    const hops = hopsOf(call);
    if (hops >= hopsMax) throw new Fault('NO_LEADER', 'No coordinator leads at the moment, as far as is known here', { retryAfterMs: 500 });
    const metadata: Record<string, string | Buffer> = { [MARK]: String(hops + 1) };
    for (const key of KEPT) {
      const [value] = call.metadata.get(key);
      if (value !== undefined) metadata[key] = value;
    }
    const authorization = handedOn(call, this.#vouching, this.#now());
    if (authorization !== undefined) metadata['authorization'] = authorization;
    const left = call.deadlineAt - this.#now();
    return { signal: call.signal, metadata, ...(Number.isFinite(left) ? { deadlineMs: Math.max(1, left) } : {}) };
  }

  [Symbol.dispose](): void {
    for (const { client } of this.#clients.values()) client.close();
  }
}

/** What tells the next process who calls: the credential that came with the call, or our word for the certificate that was shown. */
export function handedOn(call: Call, vouching: Vouching | undefined, now: TimeMs): string | undefined {
  const [shown] = call.metadata.get('authorization');
  if (shown !== undefined) return typeof shown === 'string' ? shown : undefined;
  return vouching === undefined ? undefined : wordFor(call.identity, vouching, now);
}

/** How often the call was handed on. */
export function hopsOf(call: Pick<Call, 'metadata'>): number {
  const [value] = call.metadata.get(MARK);
  return typeof value === 'string' && /^[0-9]$/.test(value) ? Number(value) : 0;
}
