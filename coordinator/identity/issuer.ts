import { createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import type { TimeMs } from '../../base/clock.ts';
import type { Env } from '../../base/env.ts';
import { certificatesIn, pinOf } from '../../base/enrolment-token.ts';
import { Fault } from '../../base/fault.ts';
import { issueCertificate, validFor, type KeyedCertificate } from '../../base/issue-certificate.ts';
import { parseZoneCas } from '../../base/server-tls.ts';
import { agentUri, parseAgentUri, uriAmong, type AgentName } from '../../base/spiffe.ts';
import { codeOf } from '../../base/thrown.ts';
import type { Zone } from '../../base/zone.ts';

export type IssuerOptions = {
  /** `<zone>=<file>`: the authority of each zone. */
  readonly zoneCa: readonly string[];
  /** `<zone>=<file>`: the key of the authority, for the zones whose agents this coordinator gives certificates. */
  readonly zoneCaKey: readonly string[];
  /** The file of the authorities by which coordinators are known, or `system`. */
  readonly tlsCa: string | undefined;
  readonly trustDomain: string;
  /** How long a certificate counts. */
  readonly lifeMs: number;
  /** How long after its end the key of a certificate does for another. */
  readonly graceMs: number;
};

export type Issued = { readonly certificate: string; readonly validMs: number; readonly serial: string };

/** Gives agents certificates by the keys of their zones' authorities. */
export interface Issuer {
  readonly zones: readonly Zone[];
  /** What agents trust from then on, PEM; empty where that is what everybody trusts. */
  authorities(): string;
  /** By which enrolment tokens name the newest of them; undefined where that is what everybody trusts. */
  pin(): string | undefined;
  uriOf(agent: AgentName): string;
  /** @throws {Fault} FORBIDDEN where it has no key of the zone's authority; CONFIG_INVALID where that is wrong */
  issue(agent: AgentName, publicKey: KeyObject): Issued;
  /**
   * The agent whose certificate, PEM, is over, and the key by which it proves to be that agent.
   * @throws {Fault} UNAUTHENTICATED saying why it counts for nothing, such as that it has been over for longer than the grace
   */
  former(certificate: string): { readonly agent: AgentName; readonly publicKey: KeyObject; readonly serial: string };
}

/**
 * A key that is new takes so long to sign: until then every coordinator and data plane that got the new certificate with it has noticed,
 * as they look at their files every two seconds.
 */
const SETTLE_MS = 15_000;

type Pair = KeyedCertificate & { readonly pem: string };

/** Files are read when they are needed, so that an exchange of them needs no notice. @throws {Fault} CONFIG_INVALID */
export function openIssuer(options: IssuerOptions, env: Pick<Env, 'clock'>, settleMs = SETTLE_MS): Issuer {
  const certs = parseZoneCas(options.zoneCa);
  const keys = parseZoneCas(options.zoneCaKey, '--zone-ca-key');
  const pairs = new Map<Zone, Pair>();
  /** The key in the file, or the one before it while that one is too new. */
  const pairOf = (zone: Zone, path: string): Pair => {
    const known = pairs.get(zone);
    const key = read(path);
    const isTrusted = known !== undefined && certs.some((one) => one.zone === zone && read(one.path).includes(known.pem));
    if (isTrusted && (known.key === key || env.clock.now() - statSync(path).mtimeMs < settleMs)) return known;
    const fresh = newPair(zone, key, certs, path);
    pairs.set(zone, fresh);
    return fresh;
  };
  for (const { zone, path } of keys) pairOf(zone, path);
  return {
    zones: keys.map(({ zone }) => zone),
    authorities: () => authoritiesOf(options.tlsCa),
    pin() {
      const [newest] = certificatesIn(authoritiesOf(options.tlsCa));
      return newest === undefined ? undefined : pinOf(newest);
    },
    uriOf: (agent) => agentUri(options.trustDomain, agent),
    issue(agent, publicKey) {
      const key = keys.find(({ zone }) => zone === agent.zone);
      if (key === undefined) {
        throw new Fault('FORBIDDEN', `This coordinator gives no certificates of the zone ${agent.zone}`, {
          hint: `Give it --zone-ca-key ${agent.zone}=FILE, or ask one that has it.`,
        });
      }
      const valid = validFor(env.clock.now(), options.lifeMs);
      const certificate = issueCertificate(pairOf(key.zone, key.path), publicKey, { uri: agentUri(options.trustDomain, agent) }, valid);
      const { serialNumber: serial, validToDate } = new X509Certificate(certificate);
      return { certificate, serial, validMs: validToDate.getTime() - env.clock.now() };
    },
    former: (certificate) => former(certificate, certs, options.graceMs, env.clock.now()),
  };
}

type ZoneFile = { readonly zone: Zone; readonly path: string };

/** The key with the certificate of the zone that belongs to it. */
function newPair(zone: Zone, key: string, certs: readonly ZoneFile[], path: string): Pair {
  const privateKey = keyIn(key, path);
  for (const { path: file } of certs.filter((one) => one.zone === zone)) {
    const pem = certificatesIn(read(file)).find((one) => new X509Certificate(one).checkPrivateKey(privateKey));
    if (pem !== undefined) return { cert: pem, key, pem };
  }
  throw new Fault('CONFIG_INVALID', `--zone-ca-key: ${path} is not the key of any authority that --zone-ca names for the zone ${zone}`, {
    field: 'zoneCaKey',
  });
}

function keyIn(pem: string, path: string): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch (error) {
    throw new Fault('CONFIG_INVALID', `--zone-ca-key: ${path} holds no private key in PEM`, { field: 'zoneCaKey', cause: error });
  }
}

function former(pem: string, certs: readonly ZoneFile[], graceMs: number, now: TimeMs): ReturnType<Issuer['former']> {
  const refused = (why: string) =>
    new Fault('UNAUTHENTICATED', `The certificate of before counts for nothing here: ${why}`, {
      hint: 'Enrol with a new token: "switchyard cluster join" makes one.',
    });
  const leaf = certificateOf(pem);
  if (leaf === undefined) throw refused('it is no certificate in PEM');
  const by = certs.find(({ path }) =>
    certificatesIn(read(path))
      .map((one) => new X509Certificate(one))
      .some((authority) => leaf.checkIssued(authority) && leaf.verify(authority.publicKey)),
  );
  if (by === undefined) throw refused('no authority of a zone known here has signed it');
  const agent = parseAgentUri(uriAmong(leaf.subjectAltName) ?? '');
  if (agent === undefined || agent.zone !== by.zone) throw refused(`it names no agent of the zone ${by.zone}`);
  const overMs = now - leaf.validToDate.getTime();
  if (overMs > graceMs) throw refused(`it has been over since ${leaf.validToDate.toISOString()}, which is too long`);
  return { agent, publicKey: leaf.publicKey, serial: leaf.serialNumber };
}

function certificateOf(pem: string): X509Certificate | undefined {
  try {
    return new X509Certificate(pem);
  } catch {
    return undefined;
  }
}

function authoritiesOf(tlsCa: string | undefined): string {
  return tlsCa === undefined || tlsCa === 'system' ? '' : read(tlsCa);
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new Fault('CONFIG_INVALID', `The file ${path} cannot be read (${codeOf(error) ?? String(error)})`, { cause: error });
  }
}
