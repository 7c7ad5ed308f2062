import { createPublicKey, X509Certificate } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import { newKeyPair } from '../../base/issue-certificate.ts';
import type { AgentName } from '../../base/spiffe.ts';
import { authorityIn, certificateBy, DOMAIN, type TestAuthority } from '../../test/fixtures/certificates.ts';
import { tempDir, type TempDir } from '../../test/fixtures/temp-dir.ts';
import { openIssuer, type Issuer, type IssuerOptions } from './issuer.ts';

const HOUR_MS = 3_600_000;
const AGENT: AgentName = { zone: 'trusted', cluster: 'c', pool: 'p', id: 'a-1' };
let dir: TempDir;
let trusted: TestAuthority;
let production: TestAuthority;
let laterMs = 0;
const clock = { now: () => systemClock.now() + laterMs, monotonic: () => systemClock.monotonic() + laterMs };
const keyFile = () => join(dir.path, 'trusted.key');

beforeEach(async () => {
  dir = await tempDir();
  laterMs = 0;
  [trusted, production] = [authorityIn(dir.path, 'trusted'), authorityIn(dir.path, 'production')];
  writeFileSync(keyFile(), trusted.key);
});
afterEach(() => dir[Symbol.asyncDispose]());

function issuer(over: Partial<IssuerOptions> = {}): Issuer {
  const zoneCa = [`trusted=${trusted.file}`, `production=${production.file}`];
  const given = {
    zoneCa,
    zoneCaKey: [`trusted=${keyFile()}`],
    tlsCa: trusted.file,
    trustDomain: DOMAIN,
    lifeMs: HOUR_MS,
    graceMs: HOUR_MS,
  };
  return openIssuer({ ...given, ...over }, { clock });
}
const signedBy = (certificate: string, { cert }: { readonly cert: string }) =>
  new X509Certificate(certificate).verify(new X509Certificate(cert).publicKey);

test('an agent gets a certificate of its zone, for its name, its key and the time that was set', () => {
  const { publicKey } = newKeyPair();
  const { certificate, serial, validMs } = issuer().issue(AGENT, publicKey);
  const leaf = new X509Certificate(certificate);
  expect(signedBy(certificate, trusted)).toBe(true);
  expect(leaf.subjectAltName).toBe(`URI:spiffe://${DOMAIN}/zone/trusted/cluster/c/pool/p/agent/a-1`);
  expect(leaf.publicKey.equals(publicKey)).toBe(true);
  expect(leaf.ca).toBe(false);
  expect(leaf.serialNumber).toBe(serial);
  expect(validMs).toBeLessThanOrEqual(HOUR_MS);
  expect(validMs).toBeGreaterThan(HOUR_MS - 600_000);
});

test('it gives none of a zone whose key it has not, though it knows its authority', () => {
  const one = issuer();
  expect(one.zones).toEqual(['trusted']);
  expect(() => one.issue({ ...AGENT, zone: 'production' }, newKeyPair().publicKey)).toThrow(
    expect.objectContaining({ code: 'FORBIDDEN', message: expect.stringContaining('production') }),
  );
});

test.for<readonly [string, () => string]>([
  ['of another zone', () => production.key],
  ['that is none', () => 'no key'],
])('a key %s is refused at the start', ([, key]) => {
  writeFileSync(keyFile(), key());
  expect(() => issuer()).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID', field: 'zoneCaKey' }));
});

test('a file that is missing is refused at the start', () => {
  expect(() => issuer({ zoneCaKey: [`trusted=${join(dir.path, 'gone')}`] })).toThrow(
    expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.stringContaining('gone') }),
  );
});

test('a new key signs once all can have the new certificate, and at once where the old authority is retired', () => {
  const one = issuer();
  const signs = () => one.issue(AGENT, newKeyPair().publicKey).certificate;
  expect(signedBy(signs(), trusted)).toBe(true);
  const fresh = authorityIn(dir.path, 'fresh');
  writeFileSync(trusted.file, fresh.cert + trusted.cert);
  expect(signedBy(signs(), trusted)).toBe(true);
  writeFileSync(keyFile(), fresh.key);
  expect(signedBy(signs(), trusted)).toBe(true); // within the time to settle
  laterMs = 60_000;
  expect(signedBy(signs(), fresh)).toBe(true);
  const newest = authorityIn(dir.path, 'newest');
  laterMs = 0;
  writeFileSync(trusted.file, newest.cert);
  writeFileSync(keyFile(), newest.key);
  expect(signedBy(signs(), newest)).toBe(true);
});

test('a certificate of before does within the grace, if the authority of the zone that it names has signed it', () => {
  const one = issuer();
  const over = certificateBy(trusted, { agent: AGENT, lifeMs: -HOUR_MS / 2 });
  const known = one.former(over.cert);
  expect(known.agent).toEqual(AGENT);
  expect(known.publicKey.equals(createPublicKey(over.key))).toBe(true);
  const refused = (cert: string, why: string) =>
    expect(() => one.former(cert)).toThrow(expect.objectContaining({ code: 'UNAUTHENTICATED', message: expect.stringContaining(why) }));
  refused(certificateBy(production, { agent: AGENT }).cert, 'names no agent of the zone production');
  refused(certificateBy(authorityIn(dir.path, 'foreign'), { agent: AGENT }).cert, 'no authority of a zone known here');
  refused(certificateBy(trusted, { uri: 'spiffe://else.where/agent' }).cert, 'names no agent of the zone trusted');
  refused('no certificate', 'no certificate in PEM');
  laterMs = 2 * HOUR_MS;
  refused(over.cert, 'too long');
});
