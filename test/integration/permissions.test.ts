import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Client, credentials, Metadata, status } from '@grpc/grpc-js';
import { expect, test } from 'vitest';
import { hashToken, type Identity } from '../../base/auth.ts';
import { hasRole, ROLES } from '../../base/caller.ts';
import { systemClock } from '../../base/clock.ts';
import { silentLogger } from '../../base/log.ts';
import type { KeyedCertificate } from '../../base/issue-certificate.ts';
import { keptKeyring } from '../../base/signing.ts';
import { vouchingBy } from '../../base/vouch.ts';
import { parseCoordinatorConfig } from '../../coordinator/config.ts';
import { startCoordinator } from '../../coordinator/start.ts';
import { formatTokens } from '../../coordinator/tokens.ts';
import { PERMISSIONS, type Permission } from '../../proto/permissions.ts';
import { authorityIn, certificateBy, writeCertificate, type TestAuthority } from '../fixtures/certificates.ts';
import { tempDir } from '../fixtures/temp-dir.ts';

const DAY = 86_400_000;
const callerOf = (name: string, role: (typeof ROLES)[number]): Identity => ({
  kind: 'caller',
  caller: { name, role, project: 'p', scope: 'main', zoneCeiling: 'trusted' },
});
/** By token. */
const IDENTITIES: Readonly<Record<string, Identity>> = {
  ...Object.fromEntries(ROLES.map((role) => [role, callerOf(role, role)])),
  agent: { kind: 'agent', name: 'agent', cluster: 'c', pool: 'p', zone: 'trusted' },
  service: { kind: 'service', name: 'service' },
};
/** Shows a certificate, or the word of another coordinator as here: to data planes it is nobody. */
const SCALER = { kind: 'scaler', name: 'c/keda', cluster: 'c' } as const;
const TOKENS = [...Object.keys(IDENTITIES), 'expired', 'made-up', undefined];

/** Which roles the certificates of an authority have, by a name that each kind of name and pattern is used for. */
const CERTIFICATE_RULES = {
  certificates: [
    {
      authority: 'ci',
      callers: [
        ['viewer', { uri: 'spiffe://ci.example/*/viewer' }],
        ['submitter', { uri: ['spiffe://ci.example/shop/submitter', 'spiffe://ci.example/shop/other'] }],
        ['approver', { dns: '*.approvers.example' }],
        ['operator', { subject: 'CN=operator-*' }],
        ['admin', { uri: 'spiffe://ci.example/shop/admin', dns: 'admin.example' }],
      ].map(([role, when]) => ({ when, role, project: 'p', scope: 'main', zoneCeiling: 'trusted' })),
    },
  ],
};

/** A yard over TLS that knows callers by their certificates, and what clients show there. */
async function startTlsYard() {
  await using stack = new AsyncDisposableStack();
  const dir = stack.use(await tempDir()).path;
  const [trusted, ci, foreign] = ['trusted', 'ci', 'foreign'].map((name) => authorityIn(dir, name)) as [
    TestAuthority,
    TestAuthority,
    TestAuthority,
  ];
  const server = writeCertificate(dir, 'server', certificateBy(trusted, { hosts: ['127.0.0.1'] }));
  await writeFile(join(dir, 'issuers.json'), JSON.stringify(CERTIFICATE_RULES));
  await writeFile(join(dir, 'tokens.json'), formatTokens([{ sha256: hashToken('t'), identity: callerOf('t', 'viewer') }]));
  const by = (role: string, authority = ci, lifeMs?: number) =>
    certificateBy(authority, { uri: `spiffe://ci.example/shop/${role}`, ...(lifeMs === undefined ? {} : { lifeMs }) });
  const shown: Readonly<Record<string, KeyedCertificate | undefined>> = {
    viewer: by('viewer'),
    submitter: by('submitter'),
    approver: certificateBy(ci, { hosts: ['One.approvers.example'] }),
    operator: certificateBy(ci, { subject: 'operator-7', hosts: ['nowhere.example'] }),
    admin: certificateBy(ci, { uri: 'spiffe://ci.example/shop/admin', hosts: ['admin.example'] }),
    'half of the names': by('admin'),
    'deeper than the pattern': certificateBy(ci, { uri: 'spiffe://ci.example/a/b/viewer' }),
    'of a foreign authority': by('admin', foreign),
    'of the authority of a zone': by('admin', trusted),
    expired: by('submitter', ci, -DAY),
    nothing: undefined,
  };
  const files = ['--tls-cert', server.cert, '--tls-key', server.key, '--tls-ca', trusted.file, '--issuers-file', join(dir, 'issuers.json')];
  const authorities = ['--zone-ca', `trusted=${trusted.file}`, '--caller-ca', `ci=${ci.file}`, '--tokens-file', join(dir, 'tokens.json')];
  const listen = ['--listen', '127.0.0.1:0', '--data-listen', '127.0.0.1:0', '--no-allow-local', '--ledger', 'memory'];
  const config = parseCoordinatorConfig({}, [...listen, ...files, ...authorities, '--state-dir', join(dir, 'state')]);
  const yard = stack.use(await startCoordinator(config, { log: silentLogger, clock: systemClock }));
  const parts = stack.move();
  const clientFor = (address: string, own: KeyedCertificate | undefined) => {
    const pem = (text: string | undefined) => (text === undefined ? null : Buffer.from(text));
    return new Client(address, credentials.createSsl(Buffer.from(trusted.cert), pem(own?.key), pem(own?.cert)));
  };
  return { addresses: [yard.address, yard.dataAddress], shown, clientFor, [Symbol.asyncDispose]: () => parts.disposeAsync() };
}

/** A coordinator and its data plane as processes of a yard have them, for the tokens above and one that has expired. */
async function startYard() {
  await using stack = new AsyncDisposableStack();
  const dir = stack.use(await tempDir());
  const tokensFile = join(dir.path, 'tokens.json');
  const entries = Object.entries(IDENTITIES).map(([token, identity]) => ({ sha256: hashToken(token), identity }));
  const expired = { sha256: hashToken('expired'), identity: callerOf('old', 'admin'), expiresAt: systemClock.now() - DAY };
  await writeFile(tokensFile, formatTokens([...entries, expired]));
  const listen = ['--listen', '127.0.0.1:0', '--data-listen', '127.0.0.1:0', '--no-allow-local', '--ledger', 'memory'];
  const config = parseCoordinatorConfig({}, [...listen, '--tokens-file', tokensFile, '--state-dir', join(dir.path, 'state')]);
  const yard = stack.use(await startCoordinator(config, { log: silentLogger, clock: systemClock }));
  const vouching = vouchingBy(keptKeyring(join(dir.path, 'state', 'blobs', 'signing-key.pem')));
  const vouched = `Vouched ${vouching.seal(SCALER, systemClock.now() + DAY)}`;
  const parts = stack.move();
  return { addresses: [yard.address, yard.dataAddress], vouched, [Symbol.asyncDispose]: () => parts.disposeAsync() };
}

type Answer = { readonly code: status; readonly details: string };

/** Sends one empty message to the rpc, whatever its kind, and ends the call with its first answer. */
function call(client: Client, path: string, authorization: string | undefined): Promise<Answer> {
  const metadata = new Metadata();
  if (authorization !== undefined) metadata.set('authorization', authorization);
  const same = (bytes: Buffer) => bytes;
  const stream = client.makeBidiStreamRequest(path, same, same, metadata, { deadline: systemClock.now() + 30_000 });
  return new Promise((resolve) => {
    stream.on('data', () => {
      resolve({ code: status.OK, details: '' });
      stream.cancel();
    });
    stream.on('status', ({ code, details }: Answer) => resolve({ code, details }));
    stream.on('error', () => {});
    stream.end(Buffer.alloc(0));
  });
}

function allowed(permission: Permission, token: string): boolean {
  const identity = IDENTITIES[token];
  if (permission === 'open') return true;
  if (identity === undefined) return false;
  if (identity.kind !== 'caller') return permission[identity.kind];
  return permission.role !== undefined && hasRole(identity.caller, permission.role);
}

/** How the call was taken, as far as its permission goes: what a handler says of the empty request is another thing. */
function verdictOf(rpc: string, { code, details }: Answer): 'admitted' | 'refused' | 'unknown' | 'not served' {
  if (code === status.UNAUTHENTICATED) return 'unknown';
  if (code === status.UNIMPLEMENTED && details.includes('does not implement')) return 'not served';
  return code === status.PERMISSION_DENIED && details.startsWith(`${rpc} `) ? 'refused' : 'admitted';
}

test('each rpc of each server is open to whom its permission names, and closed to all others', { timeout: 120_000 }, async () => {
  await using yard = await startYard();
  const served = new Set<string>();
  const wrong: unknown[] = [];
  for (const address of yard.addresses) {
    const client = new Client(address, credentials.createInsecure());
    for (const [service, rpcs] of Object.entries(PERMISSIONS)) {
      for (const [rpc, permission] of Object.entries(rpcs)) {
        const path = `/${service}/${rpc}`;
        const answers = await Promise.all(
          TOKENS.map(async (token) => ({ token, ...(await call(client, path, token && `Bearer ${token}`)) })),
        );
        for (const { token, ...answer } of answers) {
          const verdict = verdictOf(rpc, answer);
          if (verdict === 'not served') break;
          served.add(path);
          const isKnown = token !== undefined && token in IDENTITIES;
          const expected = allowed(permission, token ?? '') ? 'admitted' : isKnown ? 'refused' : 'unknown';
          if (verdict !== expected) wrong.push({ path, address, token, expected, verdict, ...answer });
        }
        const answer = await call(client, path, yard.vouched);
        const verdict = verdictOf(rpc, answer);
        const mayCall = permission === 'open' || (permission.scaler && address === yard.addresses[0]);
        const expected = mayCall ? 'admitted' : address === yard.addresses[0] ? 'refused' : 'unknown';
        if (verdict !== 'not served' && verdict !== expected) wrong.push({ path, address, token: 'vouched', expected, verdict, ...answer });
      }
    }
    client.close();
  }
  expect(wrong).toEqual([]);
  const declared = Object.entries(PERMISSIONS).flatMap(([service, rpcs]) => Object.keys(rpcs).map((rpc) => `/${service}/${rpc}`));
  expect([...served].toSorted(), 'every rpc is served by one of the two').toEqual(declared.toSorted());
});

test('each rpc is open to certificates of callers by the role that their names have, and to no others', { timeout: 120_000 }, async () => {
  await using yard = await startTlsYard();
  const wrong: unknown[] = [];
  let asked = 0;
  for (const address of yard.addresses) {
    for (const [what, own] of Object.entries(yard.shown)) {
      const client = yard.clientFor(address, own);
      for (const [service, rpcs] of Object.entries(PERMISSIONS)) {
        for (const [rpc, permission] of Object.entries(rpcs)) {
          const answer = await call(client, `/${service}/${rpc}`, undefined);
          const verdict = verdictOf(rpc, answer);
          if (verdict === 'not served') break;
          asked += 1;
          const role = ROLES.find((known) => known === what);
          const isRefusedByRule =
            answer.code === status.PERMISSION_DENIED && answer.details.startsWith('No rule of "certificates" of the authority ci is for');
          const isMapped = role !== undefined;
          const mayCall = permission === 'open' || (isMapped && permission.role !== undefined && hasRole({ role }, permission.role));
          const expected = mayCall
            ? 'admitted'
            : isMapped
              ? 'refused'
              : what.includes('the names') || what.includes('pattern')
                ? 'no rule'
                : 'unknown';
          const seen = isRefusedByRule ? 'no rule' : verdict;
          if (seen !== expected) wrong.push({ service, rpc, address, what, expected, seen, ...answer });
        }
      }
      client.close();
    }
  }
  expect(wrong).toEqual([]);
  expect(asked).toBeGreaterThan(Object.keys(yard.shown).length * 50);
});
