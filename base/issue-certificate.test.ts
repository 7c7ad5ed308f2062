import { createPrivateKey, X509Certificate } from 'node:crypto';
import { expect, test } from 'vitest';
import { issueCertificate, newAuthority, newKeyPair, validFor } from './issue-certificate.ts';
import { uriAmong } from './spiffe.ts';

const NOW = Date.UTC(2026, 10, 23, 3);
const HOUR = 3_600_000;
const authority = newAuthority('Switchyard trusted', validFor(NOW, 24 * HOUR));
const URI = 'spiffe://yard/zone/trusted/cluster/c/pool/p/agent/a-1';

test('an authority is one, and signs itself', () => {
  const cert = new X509Certificate(authority.cert);
  expect(cert.ca).toBe(true);
  expect(cert.subject).toBe('CN=Switchyard trusted');
  expect(cert.verify(cert.publicKey)).toBe(true);
  expect(cert.checkIssued(cert)).toBe(true);
});

test('what it issues is signed by it, for the key, the names and the time that were asked for', () => {
  const { publicKey, key } = newKeyPair();
  const hosts = ['yard.example.com', '10.0.0.5', '::1', '2001:db8::5:0:1'];
  const cert = new X509Certificate(issueCertificate(authority, publicKey, { uri: URI, hosts }, validFor(NOW, HOUR)));
  const issuer = new X509Certificate(authority.cert);
  expect(cert.checkIssued(issuer) && cert.verify(issuer.publicKey)).toBe(true);
  expect(cert.ca).toBe(false);
  expect(cert.checkPrivateKey(createPrivateKey(key))).toBe(true);
  expect(uriAmong(cert.subjectAltName)).toBe(URI);
  for (const host of hosts.slice(1)) expect(cert.checkIP(host), host).toBeDefined();
  expect(cert.checkHost('yard.example.com')).toBe('yard.example.com');
  expect([cert.validFromDate.getTime(), cert.validToDate.getTime()]).toEqual([NOW - 300_000, NOW + HOUR]);
  expect(cert.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2']);
});

test('nothing outlives its authority', () => {
  const { publicKey } = newKeyPair();
  const cert = new X509Certificate(issueCertificate(authority, publicKey, { uri: URI }, validFor(NOW, 100 * HOUR)));
  expect(cert.validToDate.getTime()).toBe(NOW + 24 * HOUR);
});

test("an authority with another's key issues nothing", () => {
  const other = newAuthority('other', validFor(NOW, HOUR));
  const issue = () => issueCertificate({ cert: authority.cert, key: other.key }, newKeyPair().publicKey, { uri: URI }, validFor(NOW, HOUR));
  expect(issue).toThrow('does not belong to its certificate');
});

test.for([
  ['URI:spiffe://yard/x', 'spiffe://yard/x'],
  ['DNS:a.example, URI:spiffe://yard/x, IP Address:10.0.0.1', 'spiffe://yard/x'],
  ['URI:spiffe://yard/x, URI:spiffe://yard/y', undefined],
  ['DNS:"a, URI:spiffe://yard/x"', undefined],
  ['DNS:a.example', undefined],
  ['', undefined],
  [undefined, undefined],
] as const)('among the names %j the URI is %j', ([names, uri]) => {
  expect(uriAmong(names)).toBe(uri);
});
