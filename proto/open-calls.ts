import type { Identity } from '../base/auth.ts';
import type { Clock, TimeMs } from '../base/clock.ts';
import type { Denials } from '../base/denials.ts';
import { Fault } from '../base/fault.ts';

/**
 * Streams, and who opened them. One that lives longer than the certificate which opened it goes on once the same agent has shown a newer
 * one in any call; otherwise it ends with the certificate. One whose identity is revoked ends at once.
 */
export interface OpenCalls extends Disposable {
  /** From now on until disposal the stream may be ended by `abort`. */
  opened(identity: Identity, abort: (fault: Fault) => void): Disposable;
  /** The identity made a call: what it has open counts as long as what it showed now. */
  seen(identity: Identity): void;
}

/** How often it is looked for streams whose certificate is over. */
const LOOK_MS = 500;

type Open = { readonly identity: Identity; readonly abort: (fault: Fault) => void };

export function openOpenCalls(clock: Clock, denials: Denials | undefined): OpenCalls {
  const open = new Set<Open>();
  /** By URI: until when the newest certificate counts that the agent has shown, while it has something open. */
  const shown = new Map<string, { validTo: TimeMs; calls: number }>();
  const end = (call: Open, fault: Fault) => {
    open.delete(call);
    call.abort(fault);
  };
  const look = setInterval(() => {
    const now = clock.now();
    for (const [uri, { validTo }] of shown) {
      if (now < validTo) continue;
      const fault = new Fault('UNAUTHENTICATED', `The certificate of ${uri} expired at ${new Date(validTo).toISOString()}`);
      for (const call of open) if (uriOf(call.identity) === uri) end(call, fault);
    }
  }, LOOK_MS);
  look.unref();
  const watch = denials?.onChange(() => {
    for (const call of open) {
      const fault = denials.refusal(call.identity);
      if (fault !== undefined) end(call, fault);
    }
  });
  const seen = (identity: Identity) => {
    if (identity.kind !== 'agent' || identity.certificate === undefined) return;
    const known = shown.get(identity.certificate.uri);
    if (known !== undefined) known.validTo = Math.max(known.validTo, identity.certificate.validTo);
  };
  return {
    opened(identity, abort) {
      const call = { identity, abort };
      open.add(call);
      const certificate = identity.kind === 'agent' ? identity.certificate : undefined;
      if (certificate === undefined) return { [Symbol.dispose]: () => void open.delete(call) };
      const { uri, validTo } = certificate;
      const known = shown.get(uri) ?? { validTo, calls: 0 };
      known.calls += 1;
      shown.set(uri, known);
      seen(identity);
      return {
        [Symbol.dispose]() {
          open.delete(call);
          known.calls -= 1;
          if (known.calls === 0) shown.delete(uri);
        },
      };
    },
    seen,
    [Symbol.dispose]() {
      clearInterval(look);
      watch?.[Symbol.dispose]();
    },
  };
}

function uriOf(identity: Identity): string | undefined {
  return identity.kind === 'agent' ? identity.certificate?.uri : undefined;
}
