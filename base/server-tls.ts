import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { TLSSocket } from 'node:tls';
import type { PeerCertificate } from './auth.ts';
import { certificatesIn } from './enrolment-token.ts';
import { Fault } from './fault.ts';
import type { Logger } from './log.ts';
import { uriAmong } from './spiffe.ts';
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
};

/**
 * Reads the files, and again when they change. A client's certificate counts where the authority of a zone has signed it itself, and then
 * for that zone only: whoever has the authority of one zone can make nothing for another.
 * @throws {Fault} CONFIG_INVALID naming the option or file
 */
export function openServerTls({ tlsCert, tlsKey, zoneCa }: ServerTlsOptions, log: Logger): ServerTls {
  const zones = parseZoneCas(zoneCa);
  const source = openTlsFiles({ ca: zones.map(({ path }) => path), cert: tlsCert, key: tlsKey }, log);
  const read = () => zones.flatMap(({ zone, path }) => authoritiesIn(path).map((certificate) => ({ zone, certificate })));
  let authorities = read();
  const watch = source.onChange(() => (authorities = read()));
  return {
    source,
    peerOf(socket) {
      const leaf = socket.getPeerX509Certificate();
      if (leaf === undefined) return undefined;
      const refused = (why: string): PeerCertificate => ({ kind: 'refused', why });
      const by = authorities.find(({ certificate }) => leaf.checkIssued(certificate) && leaf.verify(certificate.publicKey));
      if (by === undefined) return refused('no authority of a zone known here has signed it');
      if (!socket.authorized) return refused(String(socket.authorizationError));
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
