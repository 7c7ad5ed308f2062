import { Metadata } from '@grpc/grpc-js';
import { expect, test } from 'vitest';
import { GRANT_METADATA, GRANT_SKEW_MS, grantKeyFrom, type Grant } from '../../base/grant.ts';
import { freshKeyring } from '../../base/signing.ts';
import { openGrants } from './grants.ts';

const NOW = 1_700_000_000_000;
const LEASE_MS = 15_000;
const SKEW_MS = 5 * 60_000;
const key = grantKeyFrom(freshKeyring());
const agent = { kind: 'agent', name: 'edge', cluster: 'c', pool: 'p', zone: 'trusted' } as const;
const WANTED = { project: 'web', scope: 'main' };
const GRANT: Grant = {
  project: 'web',
  reads: ['main'],
  writes: 'main',
  agent: 'edge',
  zone: 'trusted',
  token: 't-1',
  producer: 'build-1',
  expiresAt: NOW + LEASE_MS,
};

/** A data plane whose clock is off by so much, some time after the grant was made; shows it the grant. */
function at(skewMs: number, afterMs: number) {
  const grants = openGrants(key, { now: () => NOW + skewMs + afterMs, monotonic: () => afterMs });
  const shown = new Metadata();
  shown.set(GRANT_METADATA, key.seal(GRANT));
  return { grants, show: () => grants.grantOf(agent, shown, WANTED) };
}

test('a data plane whose clock is a little off takes a grant for as long as its lease lasts', () => {
  for (const skewMs of [-GRANT_SKEW_MS, GRANT_SKEW_MS]) expect(at(skewMs, LEASE_MS - 1).show()).toEqual(GRANT);
});

test('one that is minutes ahead refuses every grant, and says that it is its clock', () => {
  expect(at(SKEW_MS, 0).show).toThrow(
    expect.objectContaining({
      code: 'GRANT_EXPIRED',
      message: 'The grant that came with the call has run out, 4m45s ago by the clock of this data plane',
      hint: expect.stringContaining("this host's clock is ahead of the coordinator's"),
    }),
  );
});

test('one that is minutes behind takes a grant for that much longer, and not once it was told of the end', () => {
  const behind = at(-SKEW_MS, SKEW_MS);
  expect(behind.show()).toEqual(GRANT);
  behind.grants.end([GRANT.token]);
  expect(behind.show).toThrow('The attempt that the grant was for has ended');
  expect(at(-SKEW_MS, SKEW_MS + LEASE_MS + GRANT_SKEW_MS).show).toThrow('has run out');
});
