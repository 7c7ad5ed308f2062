import { expect, test } from 'vitest';
import { hashToken, parseTokens, tokenAuthenticator } from './auth.ts';

const ENTRY = { name: 'ci', sha256: hashToken('secret'), kind: 'service' };
const shown = (token: string) => ({ authorization: `Bearer ${token}`, loopback: false });

test('a token is taken until it expires, and the refusal says when that was', async () => {
  const [entry] = parseTokens(JSON.stringify([{ ...ENTRY, expiresAt: '2027-01-31T00:00:00Z' }]));
  if (entry === undefined) throw new Error('one entry makes one');
  const end = Date.UTC(2027, 0, 31);
  let now = end - 1;
  const authenticator = tokenAuthenticator([entry], undefined, { now: () => now });
  expect(await authenticator.identify(shown('secret'))).toEqual({ kind: 'service', name: 'ci' });
  now = end;
  expect(() => authenticator.identify(shown('secret'))).toThrow(
    expect.objectContaining({ code: 'UNAUTHENTICATED', message: 'The token ci expired at 2027-01-31T00:00:00.000Z' }),
  );
});

test('entries from before there was an expiry never expire', async () => {
  const authenticator = tokenAuthenticator(parseTokens(JSON.stringify([ENTRY])), undefined, { now: () => Number.MAX_SAFE_INTEGER });
  expect(await authenticator.identify(shown('secret'))).toEqual({ kind: 'service', name: 'ci' });
});

test.for(['2027-01-31', '2027-01-31T10:00Z', '2027-01-31T10:00:00.5+02:00'])('expiresAt may be %s', (expiresAt) => {
  expect(parseTokens(JSON.stringify([{ ...ENTRY, expiresAt }]))[0]?.expiresAt).toBe(Date.parse(expiresAt));
});

test.for(['tomorrow', '2027-13-31', '2027-01-31T10:00:00', '', 1_800_000_000_000])('expiresAt may not be %j', (expiresAt) => {
  expect(() => parseTokens(JSON.stringify([{ ...ENTRY, expiresAt }]))).toThrow(expect.objectContaining({ field: 'entry 1, "expiresAt"' }));
});
