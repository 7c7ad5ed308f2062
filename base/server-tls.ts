import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { TLSSocket } from 'node:tls';
import type { PeerCertificate } from './auth.ts';
import { certificatesIn } from './enrolment-token.ts';
import { Fault } from './fault.ts';
import type { Logger } from './log.ts';
import { namesAmong, uriAmong } from './spiffe.ts';
import { openTlsFiles, type TlsSource } from './tls-source.ts';
import { ZONES, type Zone } from './zone.ts';

/** What a server shows, and which clients' certificates it knows. */
export interface ServerTls extends Disposable {
  /** Its `ca` are the authorities of all zones. */
  readonly source: TlsSource;
  /** What the client of a connection has shown; undefined where it showed nothing. */
  peerOf(socket: Pick<TLSSocket, 'authorized' | 'authorizationError' | 'getPeerX509Certificate'>): PeerCertificate | undefined;
}

export type ServerTlsOptions = {
  readonly tlsCert: string;
  readonly tlsKey: string;
  /** `<zone>=<file>`: the authority of each zone, or two of them while one takes the place of the other. */
  readonly zoneCa: readonly string[];
  /** `<name>=<file>`: authorities that sign certificates of callers. */
  readonly callerCa: readonly string[];
};

/**
 * Reads the files, and again when they change. A client's certificate counts where the authority of a zone has signed it itself, and then
 * for that zone only: whoever has the authority of one zone can make nothing for another.
 * @throws {Fault} CONFIG_INVALID naming the option or file
 */
export function openServerTls({ tlsCert, tlsKey, zoneCa, callerCa }: ServerTlsOptions, log: Logger): ServerTls {
  const zones = parseZoneCas(zoneCa);
  const callers = parseCallerCas(callerCa);
  const source = openTlsFiles({ ca: [...zones, ...callers].map(({ path }) => path), cert: tlsCert, key: tlsKey }, log);
  const read = (): readonly Authority[] => {
    const ofZones = zones.flatMap(({ zone, path }) =>
      authoritiesIn(path).map((certificate) => ({ kind: 'zone', zone, certificate }) as const),
    );
    const ofCallers = callers.flatMap(({ name, path }) =>
      authoritiesIn(path).map((certificate) => ({ kind: 'callers', name, certificate }) as const),
    );
    const twice = ofCallers.find(({ certificate }) => ofZones.some((other) => other.certificate.publicKey.equals(certificate.publicKey)));
    if (twice === undefined) return [...ofZones, ...ofCallers];
    throw new Fault(
      'CONFIG_INVALID',
      `--caller-ca ${twice.name}: the authority of a zone signs for agents, and cannot sign for callers, too`,
    );
  };
  let authorities = read();
  const watch = source.onChange(() => {
    try {
      authorities = read();
    } catch (error) {
      authorities = [];
      log.error('authorities-not-reread', { error });
    }
  });
  return {
    source,
    peerOf(socket) {
      const leaf = socket.getPeerX509Certificate();
      if (leaf === undefined) return undefined;
      const refused = (why: string): PeerCertificate => ({ kind: 'refused', why });
      const by = authorities.find(({ certificate }) => leaf.checkIssued(certificate) && leaf.verify(certificate.publicKey));
      if (by === undefined)
        return refused(`no authority of a zone${callers.length === 0 ? '' : ' or of callers'} known here has signed it`);
      if (!socket.authorized) return refused(String(socket.authorizationError));
      if (by.kind === 'callers') return callerCertificate(leaf, by.name);
      const uri = uriAmong(leaf.subjectAltName);
      if (uri === undefined) return refused(`it must have exactly one URI among its names, which are: ${leaf.subjectAltName ?? 'none'}`);
      return { kind: 'verified', uri, zone: by.zone, serial: leaf.serialNumber, validTo: leaf.validToDate.getTime() };
    },
    [Symbol.dispose]() {
      watch[Symbol.dispose]();
      source[Symbol.dispose]();
    },
  };
}

type Authority = { readonly certificate: X509Certificate } & (
  | { readonly kind: 'zone'; readonly zone: Zone }
  | { readonly kind: 'callers'; readonly name: string }
);

function callerCertificate(leaf: X509Certificate, authority: string): PeerCertificate {
  const names = namesAmong(leaf.subjectAltName);
  if (names === undefined) return { kind: 'refused', why: `its names are none that can be told apart: ${leaf.subjectAltName}` };
  const of = (kind: string) => names.flatMap(([one, name]) => (one === kind ? [name] : []));
  const uri = of('URI');
  if (uri.length > 1) return { kind: 'refused', why: `it must have one URI at most among its names, which are: ${leaf.subjectAltName}` };
  const subject = leaf.subject === undefined ? [] : leaf.subject.split('\n');
  const all = { uri, dns: of('DNS'), email: of('email'), subject };
  return { kind: 'caller', authority, names: all, serial: leaf.serialNumber, validTo: leaf.validToDate.getTime() };
}

/** @throws {Fault} CONFIG_INVALID */
export function parseCallerCas(words: readonly string[]): readonly { readonly name: string; readonly path: string }[] {
  return words.map((word) => {
    const [, name, path] = /^([A-Za-z0-9][A-Za-z0-9._-]{0,62})=(.+)$/s.exec(word) ?? [];
    if (name !== undefined && path !== undefined) return { name, path };
    throw new Fault('CONFIG_INVALID', `--caller-ca "${word}" must be a name and a file, such as ci=/etc/switchyard/ci-ca.pem`);
  });
}

/** @throws {Fault} CONFIG_INVALID */
export function parseZoneCas(words: readonly string[], flag = '--zone-ca'): readonly { readonly zone: Zone; readonly path: string }[] {
  return words.map((word) => {
    const equals = word.indexOf('=');
    const zone = ZONES.find((known) => known === word.slice(0, equals));
    const path = word.slice(equals + 1);
    if (zone !== undefined && path !== '') return { zone, path };
    throw new Fault('CONFIG_INVALID', `${flag} "${word}" must be a zone and a file, such as trusted=/etc/switchyard/trusted-ca.pem`);
  });
}

function authoritiesIn(path: string): readonly X509Certificate[] {
  return certificatesIn(readFileSync(path, 'utf8')).map((block) => new X509Certificate(block));
}
