import { generateKeyPairSync } from 'node:crypto';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { tempDir } from '../test/fixtures/temp-dir.ts';
import { exchangeableKeyring, freshKeyring, keptKeyring, parseKeyring, rememberingKeyring } from './signing.ts';

const BYTES = Buffer.from('what is signed');
const pem = (kind: 'private' | 'public', pair = generateKeyPairSync('ed25519')) =>
  (kind === 'private'
    ? pair.privateKey.export({ type: 'pkcs8', format: 'pem' })
    : pair.publicKey.export({ type: 'spki', format: 'pem' })
  ).toString();

test('a signature holds for its bytes, its purpose and its key, and for nothing else', () => {
  const keys = freshKeyring();
  const signature = keys.sign('entry', BYTES);
  expect(keys.verify('entry', keys.keyId, BYTES, signature)).toBe('good');
  expect(keys.verify('grant', keys.keyId, BYTES, signature)).toBe('bad');
  expect(keys.verify('entry', keys.keyId, Buffer.from('what is signed!'), signature)).toBe('bad');
  expect(keys.verify('entry', keys.keyId, BYTES, signature.subarray(1))).toBe('bad');
  const damaged = Buffer.from(signature);
  damaged[0] = (damaged[0] ?? 0) ^ 1;
  expect(keys.verify('entry', keys.keyId, BYTES, damaged)).toBe('bad');
  const other = freshKeyring();
  expect(other.verify('entry', keys.keyId, BYTES, signature)).toBe('unknown-key');
  expect(other.verify('entry', other.keyId, BYTES, signature)).toBe('bad');
});

test('purpose and bytes cannot be shifted into each other', () => {
  const keys = freshKeyring();
  const signature = keys.sign('entry', Buffer.from('abc'));
  expect(keys.verify('entrya', keys.keyId, Buffer.from('bc'), signature)).toBe('bad');
});

test('keys rotate: a new one in front signs, old ones, private or public, still verify', () => {
  const [old, older] = [generateKeyPairSync('ed25519'), generateKeyPairSync('ed25519')];
  const before = parseKeyring(pem('private', old));
  const ancient = parseKeyring(pem('private', older));
  const now = parseKeyring(`${pem('private')}${pem('private', old)}a remark\n${pem('public', older)}`);
  expect(now.keyIds).toHaveLength(3);
  expect([before.keyId, ancient.keyId]).not.toContain(now.keyId);
  for (const ring of [before, ancient]) expect(now.verify('entry', ring.keyId, BYTES, ring.sign('entry', BYTES))).toBe('good');
  const ring = exchangeableKeyring(before);
  const signature = now.sign('entry', BYTES);
  expect(ring.verify('entry', now.keyId, BYTES, signature)).toBe('unknown-key');
  ring.exchange(now);
  expect([ring.keyId, ring.verify('entry', now.keyId, BYTES, signature)]).toEqual([now.keyId, 'good']);
});

test('what was good is remembered, for those bytes alone and only while its key is here', () => {
  const [first, second] = [freshKeyring(), freshKeyring()];
  let verified = 0;
  const counted = { ...first, verify: (...of: Parameters<typeof first.verify>) => ((verified += 1), first.verify(...of)) };
  const inner = exchangeableKeyring(counted);
  const keys = rememberingKeyring(inner, 2);
  const messages = ['a', 'b', 'c'].map((text) => Buffer.from(text));
  const check = (bytes: Buffer, signed = bytes) => keys.verify('entry', first.keyId, bytes, first.sign('entry', signed));
  for (const bytes of messages) expect(check(bytes)).toBe('good');
  for (const bytes of messages.slice(1)) expect(check(bytes)).toBe('good');
  expect(verified).toBe(3);
  expect(check(Buffer.from('d'), Buffer.from('c'))).toBe('bad');
  expect(check(Buffer.from('a'))).toBe('good');
  expect(verified).toBe(5);
  inner.exchange(second);
  expect(check(Buffer.from('c'))).toBe('unknown-key');
});

test('a file of keys is made once, for its owner alone, and kept', async () => {
  await using dir = await tempDir();
  const path = join(dir.path, 'signing-key.pem');
  const first = keptKeyring(path);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(keptKeyring(path).keyId).toBe(first.keyId);
  expect(readdirSync(dir.path)).toEqual(['signing-key.pem']);
  expect(JSON.stringify(first)).not.toContain(readFileSync(path, 'utf8').split('\n')[1]);
});

test('a file without an Ed25519 private key is refused, with the way out', async () => {
  await using dir = await tempDir();
  const path = join(dir.path, 'keys.pem');
  const rsa = generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  for (const [text, why] of [
    ['', 'no private key'],
    [pem('public'), 'openssl genpkey'],
    [rsa, 'type rsa'],
    ['-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n', 'cannot be read'],
    ['-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n', 'is a "CERTIFICATE"'],
  ] as const) {
    writeFileSync(path, text);
    try {
      keptKeyring(path);
      expect.unreachable('taken');
    } catch (error) {
      expect(error).toMatchObject({ code: 'CONFIG_INVALID', field: 'signingKeyFile' });
      const cause = error instanceof Error ? error.cause : undefined;
      expect(`${String(error)} ${JSON.stringify(cause)}`).toContain(why);
      expect(String(error)).toContain(path);
    }
  }
});
