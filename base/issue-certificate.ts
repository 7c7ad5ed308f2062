import { createHash, createPrivateKey, generateKeyPairSync, randomBytes, sign, X509Certificate, type KeyObject } from 'node:crypto';
import { isIP } from 'node:net';
import { assert } from './assert.ts';
import type { TimeMs } from './clock.ts';
import { bits, boolean, identifier, implicit, integer, octets, sequence, set, tagged, utcTime, utf8 } from './der.ts';
import { Fault } from './fault.ts';

/** A certificate and its private key, as PEM. */
export type KeyedCertificate = { readonly cert: string; readonly key: string };

/** Names for which a certificate stands; one at least. */
export type CertificateNames = {
  readonly uri?: string;
  readonly hosts?: readonly string[];
  /** Common name of the subject. @default none */
  readonly subject?: string;
};

export type Validity = { readonly from: TimeMs; readonly to: TimeMs };

/** Clocks of other hosts may be behind by so much: certificates count from before they were made. */
const BACKDATED_MS = 5 * 60_000;
const ECDSA_SHA256 = sequence(identifier('1.2.840.10045.4.3.2'));

/** From a little before `now` on, for that long. */
export function validFor(now: TimeMs, lifeMs: number): Validity {
  return { from: now - BACKDATED_MS, to: now + lifeMs };
}

/** A key pair on P-256. */
export function newKeyPair(): { readonly key: string; readonly publicKey: KeyObject } {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  return { key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(), publicKey };
}

/** An authority that signs certificates of ends itself, and no other authority. */
export function newAuthority(name: string, validity: Validity): KeyedCertificate {
  const { key, publicKey } = newKeyPair();
  const extensions = [
    extension('2.5.29.19', true, sequence(boolean(true), integer(Buffer.from([0])))), // an authority, with none below it
    extension('2.5.29.15', true, bits(Buffer.from([0b0000_0110]), 1)), // signs certificates and lists of revoked ones
    extension('2.5.29.14', false, octets(keyIdOf(publicKey))),
  ];
  const cert = signed({ issuer: name, subject: name, validity, publicKey, extensions }, createPrivateKey(key));
  return { cert, key };
}

/**
 * A certificate for a key that somebody else holds, to show as a server and as a client. It ends with its authority at the latest.
 * @throws {Fault} CONFIG_INVALID where the authority's certificate and key are no pair
 */
export function issueCertificate(authority: KeyedCertificate, publicKey: KeyObject, names: CertificateNames, validity: Validity): string {
  const own = new X509Certificate(authority.cert);
  const key = createPrivateKey(authority.key);
  if (!own.checkPrivateKey(key)) throw new Fault('CONFIG_INVALID', "The authority's key does not belong to its certificate");
  const issuer = /(?:^|\n)CN=(.+)/.exec(own.subject)?.[1];
  assert(issuer !== undefined, 'an authority of ours has a common name');
  const extensions = [
    extension('2.5.29.17', true, alternativeNames(names)), // critical, as it must be where the subject is empty
    extension('2.5.29.19', true, sequence()),
    extension('2.5.29.15', true, bits(Buffer.from([0b1000_0000]), 7)), // signs handshakes
    extension('2.5.29.37', false, sequence(identifier('1.3.6.1.5.5.7.3.1'), identifier('1.3.6.1.5.5.7.3.2'))),
    extension('2.5.29.35', false, sequence(implicit(0, keyIdOf(own.publicKey)))),
  ];
  const to = Math.min(validity.to, own.validToDate.getTime());
  return signed({ issuer, subject: names.subject, validity: { from: validity.from, to }, publicKey, extensions }, key);
}

type Unsigned = {
  readonly issuer: string;
  readonly subject: string | undefined;
  readonly validity: Validity;
  readonly publicKey: KeyObject;
  readonly extensions: readonly Uint8Array[];
};

function signed({ issuer, subject, validity, publicKey, extensions }: Unsigned, key: KeyObject): string {
  const content = sequence(
    tagged(0, integer(Buffer.from([2]))), // version 3
    integer(randomBytes(16)),
    ECDSA_SHA256,
    nameOf(issuer),
    sequence(utcTime(validity.from), utcTime(validity.to)),
    nameOf(subject),
    publicKey.export({ type: 'spki', format: 'der' }),
    tagged(3, sequence(...extensions)),
  );
  const der = sequence(content, ECDSA_SHA256, bits(sign('sha256', content, key)));
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}

function nameOf(common: string | undefined): Buffer {
  return common === undefined ? sequence() : sequence(set(sequence(identifier('2.5.4.3'), utf8(common))));
}

function extension(id: string, isCritical: boolean, value: Uint8Array): Buffer {
  return sequence(identifier(id), ...(isCritical ? [boolean(true)] : []), octets(value));
}

function alternativeNames({ uri, hosts = [] }: CertificateNames): Buffer {
  const named = hosts.map((host) => (isIP(host) === 0 ? implicit(2, Buffer.from(host)) : implicit(7, addressBytes(host))));
  return sequence(...(uri === undefined ? [] : [implicit(6, Buffer.from(uri))]), ...named);
}

function addressBytes(address: string): Buffer {
  if (isIP(address) === 4) return Buffer.from(address.split('.').map(Number));
  const [head = '', tail] = address.split('::');
  const groups = (text: string) => (text === '' ? [] : text.split(':'));
  const missing = tail === undefined ? 0 : 8 - groups(head).length - groups(tail).length;
  const all = [...groups(head), ...Array.from({ length: missing }, () => '0'), ...groups(tail ?? '')];
  return Buffer.from(all.map((group) => group.padStart(4, '0')).join(''), 'hex');
}

function keyIdOf(publicKey: KeyObject): Buffer {
  return createHash('sha256')
    .update(publicKey.export({ type: 'spki', format: 'der' }))
    .digest()
    .subarray(0, 20);
}
