import type { Authenticator, Evidence, Identity } from './auth.ts';
import type { TimeMs } from './clock.ts';
import { Fault } from './fault.ts';

/** Somebody who is refused, whatever it shows. */
export type Denial = {
  /** As `parseSubject` gives it. */
  readonly subject: string;
  readonly reason: string;
  readonly by: string;
  readonly at: TimeMs;
  /** From when on it is allowed again. @default never */
  readonly until?: TimeMs;
};

/** Who is refused at the moment. */
export interface Denials {
  /** Why the identity is refused; undefined where it is not. `id`: under which an agent goes whose token does not say. */
  refusal(identity: Identity, id?: string): Fault | undefined;
  /** Calls `run` after each change, until it is disposed of. */
  onChange(run: () => void): Disposable;
}

const NAME = '[A-Za-z0-9][A-Za-z0-9._-]{0,62}';
const SUBJECT = new RegExp(`^(?:agent:${NAME}|pool:${NAME}/${NAME}|cluster:${NAME}|token:${NAME}|spiffe://[A-Za-z0-9._/-]{1,600})$`);
const SERIAL = /^serial:([0-9A-Fa-f]{2,64})$/;

/** `agent:ID`, `pool:CLUSTER/POOL`, `cluster:NAME`, `serial:HEX` of a certificate, `token:NAME`, or a certificate's URI; or undefined. */
export function parseSubject(text: string): string | undefined {
  const serial = SERIAL.exec(text)?.[1];
  if (serial !== undefined) return `serial:${serial.toUpperCase()}`;
  return SUBJECT.test(text) ? text : undefined;
}

/** Those of a list that may be exchanged. */
export function exchangeableDenials(now: () => TimeMs): Denials & { exchange(list: readonly Denial[]): void } {
  const listeners = new Set<() => void>();
  let bySubject: ReadonlyMap<string, Denial> = new Map();
  return {
    refusal(identity, id) {
      if (bySubject.size === 0) return undefined;
      for (const subject of subjectsOf(identity, id)) {
        const denial = bySubject.get(subject);
        if (denial === undefined || (denial.until !== undefined && now() >= denial.until)) continue;
        return new Fault('UNAUTHENTICATED', `${subject} was revoked by ${denial.by}${denial.reason === '' ? '' : `: ${denial.reason}`}`);
      }
      return undefined;
    },
    onChange(run) {
      const own = () => run();
      listeners.add(own);
      return { [Symbol.dispose]: () => void listeners.delete(own) };
    },
    exchange(list) {
      bySubject = new Map(list.map((denial) => [denial.subject, denial]));
      for (const run of listeners) run();
    },
  };
}

/** The authenticator, without those who are refused. */
export function withDenials(next: Authenticator, denials: Denials): Authenticator {
  const checked = (identity: Identity): Identity => {
    const fault = denials.refusal(identity);
    if (fault !== undefined) throw fault;
    return identity;
  };
  return {
    identify(evidence: Evidence) {
      const identity = next.identify(evidence);
      return identity instanceof Promise ? identity.then(checked) : checked(identity);
    },
  };
}

/** Everything by which the identity may be refused. */
function subjectsOf(identity: Identity, id: string | undefined): readonly string[] {
  if (identity.kind === 'caller') {
    const { uri, serial } = identity.certificate ?? {};
    const shown = serial === undefined ? [] : [`serial:${serial.toUpperCase()}`];
    return [`token:${identity.caller.name}`, ...shown, ...(uri === undefined ? [] : [uri])];
  }
  if (identity.kind === 'service') return [`token:${identity.name}`];
  if (identity.kind === 'scaler') return [`cluster:${identity.cluster}`, `token:${identity.name}`];
  const { cluster, pool, certificate } = identity;
  const known = identity.id ?? id;
  return [
    `cluster:${cluster}`,
    `pool:${cluster}/${pool}`,
    ...(known === undefined ? [] : [`agent:${known}`]),
    ...(certificate === undefined ? [`token:${identity.name}`] : [certificate.uri, `serial:${certificate.serial.toUpperCase()}`]),
  ];
}

/** A file of denials: a JSON array of them. @throws {Fault} CONFIG_INVALID */
export function parseDenials(text: string): readonly Denial[] {
  const bad = (cause?: unknown) =>
    new Fault('CONFIG_INVALID', 'The file of denials must be a JSON array of {"subject", "reason", "by", "at"}', { cause });
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw bad(error);
  }
  if (!Array.isArray(json)) throw bad();
  return json.map((raw: unknown) => {
    const entry = new Map<string, unknown>(typeof raw === 'object' && raw !== null ? Object.entries(raw) : []);
    const [subject, reason, by, at, until] = ['subject', 'reason', 'by', 'at', 'until'].map((key) => entry.get(key));
    if (typeof subject !== 'string' || typeof reason !== 'string' || typeof by !== 'string' || typeof at !== 'number') throw bad();
    return { subject, reason, by, at, ...(typeof until === 'number' ? { until } : {}) };
  });
}
