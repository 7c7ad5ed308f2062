import { expect, test } from 'vitest';
import { tokenAuthenticator } from './auth.ts';
import { freshKeyring } from './signing.ts';
import { vouchingBy, wordFor } from './vouch.ts';

const keyring = freshKeyring();
const vouching = vouchingBy(keyring);
const keda = { kind: 'scaler', name: 'keda', cluster: 'c' } as const;

test('a coordinator’s word for an autoscaler is believed by those with the same key, until it expires', () => {
  const text = vouching.seal(keda, 1_000);
  expect(vouching.open(text, 999)).toEqual(keda);
  expect(vouching.open(text, 1_000)).toBeUndefined();
  const other = freshKeyring();
  expect(vouchingBy(other).open(text, 0)).toBeUndefined();
});

test('a caller with a certificate is vouched for with all that it may do, one with a token never', () => {
  const caller = { name: 'ci:x', role: 'submitter', project: 'shop', scope: 'main', zoneCeiling: 'trusted' } as const;
  const shown = { kind: 'caller', caller, certificate: { serial: 'A1', uri: 'spiffe://ci/x' } } as const;
  const word = wordFor(shown, vouching, 1_000);
  expect(vouching.open(word?.slice('Vouched '.length) ?? '', 30_999)).toEqual(shown);
  expect(vouching.open(word?.slice('Vouched '.length) ?? '', 31_000)).toBeUndefined();
  expect(wordFor({ kind: 'caller', caller }, vouching, 0)).toBeUndefined();
  expect(wordFor({ kind: 'service', name: 's' }, vouching, 0)).toBeUndefined();
  for (const wrong of [{ role: 'root' }, { zoneCeiling: 'all' }, { project: '../x' }, { scope: '.hidden' }]) {
    const sealed = vouching.seal({ ...shown, caller: { ...caller, ...wrong } as typeof caller }, 1_000); // what another version might write
    expect(vouching.open(sealed, 0), JSON.stringify(wrong)).toBeUndefined();
  }
});

test('nothing else that the key signed, and no word that was changed, counts', () => {
  const text = vouching.seal(keda, 1_000);
  const [body = '', keyId = '', signature = ''] = text.split('.');
  const forged = Buffer.from(JSON.stringify({ name: 'keda', cluster: 'other', expiresAt: 1_000 })).toString('base64url');
  expect(vouching.open(`${forged}.${keyId}.${signature}`, 0)).toBeUndefined();
  const elsewhere = Buffer.from(keyring.sign('entry', Buffer.from(body, 'base64url'))).toString('base64url');
  expect(vouching.open(`${body}.${keyId}.${elsewhere}`, 0)).toBeUndefined();
  for (const rubbish of ['', '.', 'a.b.c', `${body}..`, text.slice(1)]) expect(vouching.open(rubbish, 0)).toBeUndefined();
});

test('only servers that were given vouching take it as a credential', () => {
  const evidence = { authorization: `Vouched ${vouching.seal(keda, 1_000)}`, loopback: true };
  const rules = { now: () => 0 };
  expect(tokenAuthenticator([], undefined, { ...rules, vouching }).identify(evidence)).toEqual(keda);
  expect(() => tokenAuthenticator([], undefined, rules).identify(evidence)).toThrow('must be "Bearer <token>"');
  const wrong = { ...evidence, authorization: 'Vouched x' };
  expect(() => tokenAuthenticator([], undefined, { ...rules, vouching }).identify(wrong)).toThrow('No coordinator of this yard vouches');
});
