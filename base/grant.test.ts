import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { GRANT_SKEW_MS, grantKeyFrom, type Grant } from './grant.ts';
import { freshKeyring, parseKeyring } from './signing.ts';

const keyring = freshKeyring();
const key = grantKeyFrom(keyring);
const GRANT: Grant = {
  project: 'web',
  reads: ['main/pr-7', 'main'],
  writes: 'main/pr-7',
  agent: 'edge',
  zone: 'untrusted',
  token: 't-1',
  producer: 'build-1',
  expiresAt: 1_000_000,
};

describe('a grant', () => {
  test('comes back as it was sealed, until its end and the stated skew', () => {
    const text = key.seal(GRANT);
    expect(key.open(text, 0)).toEqual({ kind: 'good', grant: GRANT });
    expect(key.open(text, GRANT.expiresAt + GRANT_SKEW_MS - 1).kind).toBe('good');
    expect(key.open(text, GRANT.expiresAt + GRANT_SKEW_MS)).toEqual({ kind: 'expired', grant: GRANT });
  });

  test('holds at whoever has the same signing keys, and at nobody else', () => {
    const text = key.seal(GRANT);
    expect(grantKeyFrom(keyring).open(text, 0).kind).toBe('good');
    expect(grantKeyFrom(freshKeyring()).open(text, 0)).toEqual({ kind: 'bad' });
  });

  test('of a key that was exchanged holds while the file still has it, and no longer', () => {
    const pem = () => generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    const [older, newer] = [pem(), pem()];
    const text = grantKeyFrom(parseKeyring(older)).seal(GRANT);
    const both = grantKeyFrom(parseKeyring(`${newer}${older}`));
    expect(both.open(text, 0)).toEqual({ kind: 'good', grant: GRANT });
    expect(grantKeyFrom(parseKeyring(newer)).open(text, 0)).toEqual({ kind: 'bad' });
    // The first one signs.
    expect(grantKeyFrom(parseKeyring(newer)).open(both.seal(GRANT), 0).kind).toBe('good');
  });

  test('with any one character changed is none', () => {
    const text = key.seal(GRANT);
    for (let at = 0; at < text.length; at += 1) {
      const other = text[at] === 'A' ? 'B' : 'A';
      const changed = `${text.slice(0, at)}${other}${text.slice(at + 1)}`;
      // The last character of base64 carries bits that say nothing.
      if (at < text.length - 1) expect([at, key.open(changed, 0)]).toEqual([at, { kind: 'bad' }]);
    }
    expect(key.open(`${text}A`, 0)).toEqual({ kind: 'bad' });
  });

  test('that another wrote, or that asks for more than its form allows, is none', () => {
    const body = Buffer.from(JSON.stringify({ ...GRANT, reads: ['release'], writes: 'release' })).toString('base64url');
    const [form, , mac] = key.seal(GRANT).split('.');
    for (const text of ['', 'sy1', `${form}.${body}.${mac}`, `${form}.${body}`, `${form}..${mac}`, `${form}.${body}.`, 'x'.repeat(100_000)])
      expect(key.open(text, 0)).toEqual({ kind: 'bad' });
  });

  test.for([
    { ...GRANT, writes: 'release' },
    { ...GRANT, reads: [] },
    { ...GRANT, project: '../web' },
    { ...GRANT, agent: '' },
    { ...GRANT, token: '' },
    { ...GRANT, expiresAt: Number.NaN },
  ])('of ours that makes no sense is none: %o', (grant) => {
    expect(key.open(key.seal(grant), 0)).toEqual({ kind: 'bad' });
  });
});
