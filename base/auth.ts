import { createHash, timingSafeEqual } from 'node:crypto';
import { systemClock, type TimeMs } from './clock.ts';
import { Fault } from './fault.ts';
import { isOpenScope, isProject, ROLES, type Caller } from './caller.ts';
import { parseAgentUri, parseScalerUri } from './spiffe.ts';
import type { Vouching } from './vouch.ts';
import { parseZone, type Zone } from './zone.ts';

/** Who is at the other end of a connection, as verified. */
export type Identity =
  | {
      readonly kind: 'caller';
      readonly caller: Caller;
      /** The certificate that it showed. @default a token did */
      readonly certificate?: { readonly serial: string; readonly uri?: string };
    }
  /** An agent: its labels of trust come from here, whatever it says of itself. */
  | {
      readonly kind: 'agent';
      readonly name: string;
      readonly cluster: string;
      readonly pool: string;
      readonly zone: Zone;
      /** The only id under which it may register. @default any: several agents may share a token */
      readonly id?: string;
      /** The certificate that says so. @default a token did */
      readonly certificate?: { readonly uri: string; readonly serial: string; readonly validTo: TimeMs };
    }
  /** A process of ours, such as a coordinator in front of the data plane. */
  | { readonly kind: 'service'; readonly name: string }
  /** What scales the pools of one cluster, and learns no more than how much of them is wanted. */
  | { readonly kind: 'scaler'; readonly name: string; readonly cluster: string };

/** What a connection shows of itself. */
export type Evidence = {
  /** The value of the `authorization` metadata. */
  readonly authorization: string | undefined;
  /** Whether the peer's address is on the loopback interface. */
  readonly loopback: boolean;
  /** What a connection over TLS says of the client; undefined for one in clear. */
  readonly tls?: { readonly certificate: PeerCertificate | undefined } | undefined;
};

/** A client's certificate: signed by the authority of that zone, for the one URI that it names; or why it counts for nothing. */
export type PeerCertificate =
  | {
      readonly kind: 'verified';
      readonly uri: string;
      readonly zone: Zone;
      /** Upper-case hex. */
      readonly serial: string;
      readonly validTo: TimeMs;
    }
  /** Of a caller: signed by the authority of that name, for those names. What it may do is in the rules for that authority. */
  | CallerCertificate
  | { readonly kind: 'refused'; readonly why: string };

export type CallerCertificate = {
  readonly kind: 'caller';
  readonly authority: string;
  readonly names: CertifiedNames;
  /** Upper-case hex. */
  readonly serial: string;
  readonly validTo: TimeMs;
};

/** What a certificate says that it is for; `subject` has its attributes, such as `CN=runner-7`. */
export type CertifiedNames = Readonly<Record<'uri' | 'dns' | 'email' | 'subject', readonly string[]>>;

export interface Authenticator {
  /** @throws {Fault} UNAUTHENTICATED, with what is missing. */
  identify(evidence: Evidence): Identity | Promise<Identity>;
}

/** One line of the tokens file: the SHA-256 of a token (hex) and whom it stands for. The token itself is kept nowhere. */
export type TokenEntry = {
  readonly sha256: string;
  readonly identity: Identity;
  /** From when on the token is refused. @default never */
  readonly expiresAt?: TimeMs;
};

/** By which name an identity stands in logs and records. */
export function nameOf(identity: Identity): string {
  return identity.kind === 'caller' ? identity.caller.name : identity.name;
}

/** SHA-256 of a token as hex. Tokens carry 256 random bits, so that a plain hash cannot be searched. */
export function hashToken(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}

export type TokenRules = {
  /** @default the system's clock */
  readonly now?: () => TimeMs;
  /** Whether an agent's token does over TLS, too, where agents have certificates. @default false */
  readonly agentTokens?: boolean;
  /** How other coordinators vouch for those whom they hand on. @default nobody is believed */
  readonly vouching?: Vouching;
};

/**
 * Bearer tokens first, then certificates; a connection from loopback with neither is `local` where that is given. A certificate that is
 * shown and wrong is refused whatever comes with it.
 * Looking up a hash takes the same time for known and unknown ones, up to the map's own.
 */
export function tokenAuthenticator(
  entries: readonly TokenEntry[],
  local: Identity | undefined,
  { now = () => systemClock.now(), agentTokens = false, vouching }: TokenRules = {},
): Authenticator {
  const byHash = new Map(entries.map((entry) => [entry.sha256, entry]));
  return {
    identify({ authorization, loopback, tls }) {
      const shown = tls?.certificate === undefined ? undefined : certified(tls.certificate, now(), authorization !== undefined);
      if (authorization === undefined) {
        if (shown !== undefined) return shown;
        if (loopback && local !== undefined) return local;
        throw new Fault('UNAUTHENTICATED', 'No credential: send the metadata "authorization: Bearer <token>"');
      }
      const word = vouching === undefined ? undefined : /^Vouched (.{0,2048})$/.exec(authorization)?.[1];
      if (word !== undefined) return vouchedFor(vouching?.open(word, now()));
      const token = /^Bearer ([\x21-\x7e]+)$/i.exec(authorization)?.[1];
      if (token === undefined) throw new Fault('UNAUTHENTICATED', 'The "authorization" metadata must be "Bearer <token>"');
      const hash = hashToken(token);
      const entry = byHash.get(hash);
      if (entry === undefined || !timingSafeEqual(Buffer.from(entry.sha256, 'hex'), Buffer.from(hash, 'hex'))) {
        throw new Fault('UNAUTHENTICATED', 'The token is not known here', {
          hint: 'Check that it is meant for this server and was not removed.',
        });
      }
      if (entry.expiresAt !== undefined && now() >= entry.expiresAt) {
        throw new Fault('UNAUTHENTICATED', `The token ${nameOf(entry.identity)} expired at ${new Date(entry.expiresAt).toISOString()}`, {
          hint: 'Make a new one with "switchyard token create".',
        });
      }
      if (entry.identity.kind === 'agent' && tls !== undefined && !agentTokens) {
        throw new Fault('UNAUTHENTICATED', `The token ${nameOf(entry.identity)} is an agent's, and over TLS agents show a certificate`, {
          hint: 'Give the agent --tls-cert and --tls-key, or the server --agent-tokens.',
        });
      }
      return entry.identity;
    },
  };
}

/**
 * The agent or autoscaler that a certificate is for. Its zone is that of the authority that signed it, and must be the one it names.
 * @throws {Fault} UNAUTHENTICATED saying what is wrong with it
 */
function certified(certificate: PeerCertificate, now: TimeMs, hasToken: boolean): Identity | undefined {
  const refused = (why: string) => new Fault('UNAUTHENTICATED', `The client's certificate counts for nothing here: ${why}`);
  if (certificate.kind === 'refused') throw refused(certificate.why);
  if (certificate.kind === 'caller') {
    if (hasToken) return undefined;
    throw refused('there are no rules for callers with certificates'); // those who have rules look before
  }
  const { uri, zone, serial, validTo } = certificate;
  if (now >= validTo) throw refused(`it expired at ${new Date(validTo).toISOString()}`);
  const agent = parseAgentUri(uri);
  const scaler = parseScalerUri(uri);
  const named = agent ?? scaler;
  if (named === undefined) throw refused(`${uri} names no agent, which would be spiffe://…/zone/…/cluster/…/pool/…/agent/…`);
  if (named.zone !== zone) throw refused(`it names the zone ${named.zone}, and the authority of the zone ${zone} has signed it`);
  if (agent === undefined) return { kind: 'scaler', name: `${named.cluster}/${scaler?.name}`, cluster: named.cluster };
  return { kind: 'agent', name: `${agent.cluster}/${agent.pool}/${agent.id}`, ...agent, certificate: { uri, serial, validTo } };
}

/** @throws {Fault} UNAUTHENTICATED */
function vouchedFor(identity: Identity | undefined): Identity {
  if (identity === undefined)
    throw new Fault('UNAUTHENTICATED', 'No coordinator of this yard vouches for this call, or its word has expired');
  return identity;
}

/** An authenticator that can be exchanged while calls come in. */
export function exchangeable(first: Authenticator): Authenticator & { exchange(next: Authenticator): void } {
  let current = first;
  return {
    identify: (evidence) => current.identify(evidence),
    exchange(next) {
      current = next;
    },
  };
}

/** Other names have the same form as projects. */
const isName = isProject;
const isSha256 = (text: string) => /^[0-9a-f]{64}$/.test(text);

/**
 * The tokens file: a JSON array of `{"name", "sha256", "kind": "caller", "role", "project", "scope", "zoneCeiling"}`,
 * `{"name", "sha256", "kind": "agent", "cluster", "pool", "zone"}` or `{"name", "sha256", "kind": "service"}`, each with or
 * without `"expiresAt"`, a time such as `2027-01-31T00:00:00Z`.
 * @throws {Fault} CONFIG_INVALID naming entry and field.
 */
export function parseTokens(text: string): readonly TokenEntry[] {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new Fault('CONFIG_INVALID', 'Tokens file: not JSON', { cause: error });
  }
  if (!Array.isArray(json)) throw bad('the file', 'must be a JSON array of entries');
  return json.map((raw: unknown, index) => entryFrom(raw, `entry ${index + 1}`));
}

/** What is wrong with the tokens file, and where. */
function bad(field: string, fix: string): Fault {
  return new Fault('CONFIG_INVALID', `Tokens file: ${field} ${fix}`, { field });
}

function entryFrom(raw: unknown, at: string): TokenEntry {
  if (typeof raw !== 'object' || raw === null) throw bad(at, 'must be an object');
  const entry = new Map<string, unknown>(Object.entries(raw));
  const word = (key: string, isGood: (text: string) => boolean, fix: string): string => {
    const value = entry.get(key);
    if (typeof value !== 'string' || !isGood(value)) throw bad(`${at}, "${key}"`, fix);
    return value;
  };
  const identity = identityFrom(entry, word, at);
  const sha256 = word('sha256', isSha256, 'must be the SHA-256 of the token, 64 lower-case hex digits');
  const expires = entry.has('expiresAt') ? word('expiresAt', isTime, 'must be a time such as 2027-01-31T00:00:00Z') : undefined;
  return { sha256, identity, ...(expires === undefined ? {} : { expiresAt: Date.parse(expires) }) };
}

type Word = (key: string, isGood: (text: string) => boolean, fix: string) => string;

function identityFrom(entry: ReadonlyMap<string, unknown>, word: Word, at: string): Identity {
  const zoneAt = (key: string): Zone => {
    const zone = parseZone(String(entry.get(key)));
    if (zone === undefined) throw bad(`${at}, "${key}"`, 'must be untrusted, trusted or production');
    return zone;
  };
  const name = word('name', isName, 'must be 1 to 63 letters, digits, ".", "_" or "-"');
  const kind: unknown = entry.get('kind');
  if (kind === 'service') return { kind, name };
  if (kind === 'agent') {
    const cluster = word('cluster', isName, 'must name the cluster');
    return { kind, name, cluster, pool: word('pool', isName, 'must name the pool'), zone: zoneAt('zone') };
  }
  if (kind !== 'caller') throw bad(`${at}, "kind"`, 'must be caller, agent or service');
  const role = ROLES.find((known) => known === entry.get('role'));
  if (role === undefined) throw bad(`${at}, "role"`, `must be one of ${ROLES.join(', ')}`);
  const project = word('project', isProject, 'must name the project');
  const scope = word('scope', isOpenScope, 'must be a path such as main or main/pr-7, and no part of it begin with a dot');
  return { kind, caller: { name, role, project, scope, zoneCeiling: zoneAt('zoneCeiling') } };
}

/** A date, or a date and time with its zone: what is read the same everywhere. */
function isTime(text: string): boolean {
  return /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d{1,3})?)?(Z|[+-]\d{2}:\d{2}))?$/.test(text) && !Number.isNaN(Date.parse(text));
}
