import { execFileSync } from 'node:child_process';
import { createPublicKey } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { tempDir } from '../test/fixtures/temp-dir.ts';
import { newKeyPair } from './issue-certificate.ts';
import { newSigningRequest, readSigningRequest } from './signing-request.ts';

const URI = 'spiffe://yard.test/zone/trusted/cluster/c/pool/p/agent/a-1';

test('a request is for the key that signed it, and wants the name that it says or any', () => {
  const { key, publicKey } = newKeyPair();
  const named = readSigningRequest(newSigningRequest(key, URI));
  const plain = readSigningRequest(newSigningRequest(key));
  if ('problem' in named || 'problem' in plain) throw new Error('both are taken');
  expect(named.publicKey.equals(publicKey)).toBe(true);
  expect([named.wants(URI), named.wants(URI.replace('trusted', 'production'))]).toEqual([true, false]);
  expect([plain.wants(URI), plain.wants('spiffe://other')]).toEqual([true, true]);
});

test('what OpenSSL makes is read, and OpenSSL reads what we make', async () => {
  await using dir = await tempDir();
  const { key } = newKeyPair();
  const at = (name: string) => join(dir.path, name);
  writeFileSync(at('key.pem'), key);
  execFileSync('openssl', ['req', '-new', '-key', at('key.pem'), '-subj', '/', '-outform', 'DER', '-out', at('theirs.der')]);
  const { readFileSync } = await import('node:fs');
  expect(readSigningRequest(readFileSync(at('theirs.der')))).toMatchObject({ publicKey: createPublicKey(key) });
  writeFileSync(at('ours.der'), newSigningRequest(key, URI));
  const text = execFileSync('openssl', ['req', '-inform', 'DER', '-in', at('ours.der'), '-noout', '-text', '-verify'], { stdio: 'pipe' });
  expect(text.toString()).toContain(`URI:${URI}`);
});

test('other keys, subjects and signatures are refused with the reason', async () => {
  await using dir = await tempDir();
  const made = (name: string, options: readonly string[]) => {
    const path = join(dir.path, name);
    execFileSync('openssl', ['req', '-new', '-nodes', '-keyout', `${path}.key`, '-outform', 'DER', '-out', path, ...options], {
      stdio: 'pipe',
    });
    return execFileSync('cat', [path]);
  };
  expect(readSigningRequest(made('rsa', ['-newkey', 'rsa:1024', '-subj', '/']))).toMatchObject({
    problem: expect.stringContaining('ECDSA'),
  });
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:secp384r1', '-sha256'];
  expect(readSigningRequest(made('p384', [...curve, '-subj', '/']))).toMatchObject({ problem: expect.stringContaining('P-256') });
  const p256 = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-sha256'];
  expect(readSigningRequest(made('named', [...p256, '-subj', '/CN=production']))).toMatchObject({
    problem: expect.stringContaining('empty subject'),
  });
  const good = newSigningRequest(newKeyPair().key);
  const other = newSigningRequest(newKeyPair().key);
  const at = good.indexOf(Buffer.from([0x03, 0x42, 0x00])); // the key
  const swapped = Buffer.from(good);
  other.copy(swapped, at, at, at + 0x44);
  expect(readSigningRequest(swapped)).toMatchObject({ problem: expect.stringContaining('signature') });
});

test('rubbish, cut and lengthened requests are refused without a throw', () => {
  const good = newSigningRequest(newKeyPair().key, URI);
  fc.assert(
    fc.property(fc.nat(good.byteLength - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
      const bad = Buffer.from(good);
      bad[at] = (bad[at] ?? 0) ^ flip;
      const read = readSigningRequest(bad);
      expect('problem' in read).toBe(true);
    }),
  );
  fc.assert(fc.property(fc.nat(good.byteLength - 1), (end) => 'problem' in readSigningRequest(good.subarray(0, end))));
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => 'problem' in readSigningRequest(bytes)));
  expect(readSigningRequest(Buffer.concat([good, Buffer.from([0])]))).toMatchObject({ problem: expect.stringContaining('PKCS') });
  expect(readSigningRequest(Buffer.alloc(5_000))).toMatchObject({ problem: expect.stringContaining('5000 bytes') });
});
