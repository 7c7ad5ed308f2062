import { X509Certificate } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Fault } from '../../base/fault.ts';
import { issueCertificate, newAuthority, validFor, type KeyedCertificate } from '../../base/issue-certificate.ts';
import { memoryLogger } from '../../base/log.ts';
import { prngFrom } from '../../base/prng.ts';
import { readSigningRequest } from '../../base/signing-request.ts';
import { agentUri } from '../../base/spiffe.ts';
import { tempDir, type TempDir } from '../../test/fixtures/temp-dir.ts';
import { until } from '../../test/fixtures/until.ts';
import { keepCertificate, type IdentityClient, type IssuedCertificate } from './keeper.ts';

const LIFE_MS = 3_600_000;
const START = Date.parse('2026-01-01T00:00:00Z');
const never = new AbortController().signal;
let dir: TempDir;
let authority: KeyedCertificate;

beforeEach(async () => {
  dir = await tempDir();
  authority = newAuthority('trusted', validFor(START, 10_000 * LIFE_MS));
  writeFileSync(join(dir.path, 'ca.pem'), authority.cert);
});
afterEach(() => dir[Symbol.asyncDispose]());

/** The agent in a time that passes when it sleeps, for so many renewals; `fails` says which tries are not answered, by their number. */
function startKeeper(renewals: number, fails: (tries: number) => boolean = () => false) {
  const log = memoryLogger();
  let now = START;
  /** When the certificate of the time was issued, and at which part of its life each try to renew it came. */
  let issuedAt = START;
  let tries = 0;
  const parts: number[] = [];
  const serials: string[] = [];
  const issue = (signingRequest: Uint8Array): IssuedCertificate => {
    const request = readSigningRequest(signingRequest);
    if ('problem' in request) throw new Fault('BAD_REQUEST', request.problem);
    issuedAt = now;
    const uri = agentUri('yard.test', { zone: 'trusted', cluster: 'c', pool: 'p', id: 'a1' });
    const certificate = issueCertificate(authority, request.publicKey, { uri }, { from: now, to: now + LIFE_MS });
    serials.push(new X509Certificate(certificate).serialNumber);
    return { certificate, authorities: authority.cert };
  };
  const client: IdentityClient = {
    authorities: () => Promise.resolve(authority.cert),
    enrol: (_address, _source, { signingRequest }) => Promise.resolve(issue(signingRequest)),
    renew(_address, _source, signingRequest) {
      tries += 1;
      parts.push((now - issuedAt) / LIFE_MS);
      if (fails(tries)) return Promise.reject(new Fault('PEER_UNAVAILABLE', 'nobody answers'));
      return Promise.resolve(issue(signingRequest));
    },
    identify: () => Promise.resolve(),
  };
  const sleep = (ms: number, signal: AbortSignal) => {
    if (serials.length <= renewals) {
      now += ms;
      return Promise.resolve();
    }
    return new Promise<void>((_resolve, reject) => signal.addEventListener('abort', () => reject(new Error('over'))));
  };
  const kept = keepCertificate(
    {
      path: join(dir.path, 'identity.pem'),
      agentId: 'a1',
      token: { text: 'of a platform' },
      tlsCa: join(dir.path, 'ca.pem'),
      addresses: ['yard:7410'],
      client,
      prng: prngFrom(3),
      env: { log, clock: { now: () => now, monotonic: () => now } },
      sleep,
    },
    never,
  );
  return { kept, parts, serials, log };
}

test('a certificate is renewed at half of its life, a tenth of it sooner or later, with a new key in the same source', async () => {
  const { kept, parts, serials, log } = startKeeper(100);
  using keeper = await kept;
  const { source } = keeper;
  const first = source.current();
  await until('it was renewed a hundred times', () => log.entries.filter(({ event }) => event === 'certificate-renewed').length === 100);
  expect(parts).toHaveLength(100);
  for (const part of parts) {
    expect(part).toBeGreaterThanOrEqual(0.4);
    expect(part).toBeLessThanOrEqual(0.6);
  }
  const mean = parts.reduce((sum, part) => sum + part, 0) / parts.length;
  expect(mean).toBeGreaterThan(0.48);
  expect(mean).toBeLessThan(0.52);
  expect(new Set(serials).size).toBe(101);
  expect(keeper.source).toBe(source);
  const now = source.current();
  expect(new X509Certificate(now.own?.cert ?? '').serialNumber).toBe(serials.at(-1));
  expect(now.own?.key).not.toEqual(first.own?.key);
});

test('where nobody answers at half of its life, it is asked for again and again, and had long before the end', async () => {
  const { kept, parts, log } = startKeeper(10, (tries) => tries % 20 !== 0);
  using _keeper = await kept;
  await until('it was renewed ten times', () => log.entries.filter(({ event }) => event === 'certificate-renewed').length === 10);
  expect(parts).toHaveLength(200);
  expect(Math.max(...parts)).toBeLessThan(0.75);
  expect(log.entries.filter(({ event }) => event === 'certificate-not-renewed')).toHaveLength(190);
});
