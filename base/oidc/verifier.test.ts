import { createHmac, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { renameSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { exportJWK, SignJWT, type JWK } from 'jose';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { tempDir, type TempDir } from '../../test/fixtures/temp-dir.ts';
import { until } from '../../test/fixtures/until.ts';
import { tokenAuthenticator } from '../auth.ts';
import { systemClock } from '../clock.ts';
import { memoryLogger, silentLogger } from '../log.ts';
import { openTokenVerifier, withIssuedTokens, type TokenVerifier } from './verifier.ts';

const GITHUB = 'https://token.actions.githubusercontent.com';
const GITLAB = 'https://gitlab.example';
const BUILDKITE = 'https://agent.buildkite.com';
const CLUSTER = 'https://kubernetes.default.svc';
const YARD = 'https://yard.example';
const env = { log: silentLogger, clock: systemClock };

type Key = { readonly privateKey: KeyObject; readonly alg: string; readonly kid: string; readonly jwk: JWK };

async function newKey(kid: string, alg: 'RS256' | 'ES256' = 'ES256'): Promise<Key> {
  const { privateKey, publicKey } =
    alg === 'ES256' ? generateKeyPairSync('ec', { namedCurve: 'P-256' }) : generateKeyPairSync('rsa', { modulusLength: 2048 });
  return { privateKey, alg, kid, jwk: { ...(await exportJWK(publicKey)), kid, alg } };
}

let dir: TempDir;
let server: Server;
let verifier: TokenVerifier;
let ci: Key;
let rsa: Key;
let cluster: Key;
let foreign: Key;

beforeAll(async () => {
  [dir, ci, rsa, cluster, foreign] = await Promise.all([tempDir(), newKey('ci'), newKey('rsa', 'RS256'), newKey('cluster'), newKey('ci')]);
  server = createServer((_, answer) => answer.end(JSON.stringify({ keys: [ci.jwk, rsa.jwk] })));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks`;
  const pinned = join(dir.path, 'cluster.json');
  writeFileSync(pinned, JSON.stringify({ keys: [cluster.jwk] }));
  const submitter = { role: 'submitter', project: 'shop' };
  const main = { ...submitter, scope: 'main', zoneCeiling: 'trusted' };
  const proposed = { ...submitter, scope: 'main/pr-{pull}', zoneCeiling: 'untrusted' };
  const issuers = [
    {
      ...{ name: 'github', kind: 'github', issuer: GITHUB, audience: YARD, keys: { url } },
      callers: [
        { when: { repository_id: '4711', ref: 'refs/heads/main' }, ...main },
        { when: { repository_id: '4711', event_name: ['pull_request'] }, ...proposed },
      ],
    },
    {
      ...{ name: 'gitlab', kind: 'gitlab', issuer: GITLAB, audience: YARD, keys: { url } },
      callers: [{ when: { project_id: '12', ref_protected: 'true' }, ...main }],
    },
    {
      ...{ name: 'buildkite', kind: 'buildkite', issuer: BUILDKITE, audience: YARD, keys: { url } },
      callers: [{ when: { organization_id: 'org-1', pipeline_id: 'p-1' }, ...main }],
    },
    {
      ...{ name: 'edge-1', kind: 'kubernetes', issuer: CLUSTER, audience: 'switchyard', keys: { file: pinned } },
      agents: [{ when: { sub: 'system:serviceaccount:switchyard:agent' }, zone: 'trusted', cluster: 'edge-1', pool: 'edge' }],
    },
  ];
  const path = join(dir.path, 'issuers.json');
  writeFileSync(path, JSON.stringify({ issuers }));
  verifier = openTokenVerifier(path, env);
});
afterAll(async () => {
  verifier[Symbol.dispose]();
  server.close();
  await dir[Symbol.asyncDispose]();
});

const seconds = () => Math.floor(systemClock.now() / 1_000);

type Changes = { readonly key?: Key; readonly lifeSeconds?: number; readonly notBefore?: number };

function signed(claims: Readonly<Record<string, unknown>>, { key = ci, lifeSeconds = 300, notBefore }: Changes = {}): Promise<string> {
  const now = seconds();
  const payload = { aud: YARD, iat: now, exp: now + lifeSeconds, ...(notBefore === undefined ? {} : { nbf: now + notBefore }), ...claims };
  return new SignJWT(payload).setProtectedHeader({ alg: key.alg, kid: key.kid }).sign(key.privateKey);
}

const PUSH = { iss: GITHUB, sub: 'repo:acme/shop:ref:refs/heads/main', repository_id: '4711', ref: 'refs/heads/main', event_name: 'push' };
const PULL = { ...PUSH, sub: 'repo:acme/shop:pull_request', ref: 'refs/pull/7/merge', event_name: 'pull_request' };

test.for<readonly [string, Readonly<Record<string, unknown>>, object]>([
  ['a push to the main branch', PUSH, { scope: 'main', zoneCeiling: 'trusted' }],
  [
    'one with an immutable subject',
    { ...PUSH, sub: 'repo:acme@1/shop@4711:ref:refs/heads/main' },
    { scope: 'main', zoneCeiling: 'trusted' },
  ],
  ['a pull request', PULL, { scope: 'main/pr-7', zoneCeiling: 'untrusted' }],
  [
    'a protected branch',
    { iss: GITLAB, sub: 'project_path:a/b', project_id: '12', ref_protected: 'true', pipeline_source: 'push' },
    { scope: 'main' },
  ],
  ['a pipeline', { iss: BUILDKITE, sub: 'organization:acme', organization_id: 'org-1', pipeline_id: 'p-1' }, { project: 'shop' }],
])('%s is the caller that its rule names', async ([, claims, caller]) => {
  expect(await verifier.caller(await signed(claims))).toMatchObject({ kind: 'caller', caller });
});

test('keys of both kinds count, by RS256 and by ES256', async () => {
  expect(await verifier.caller(await signed(PUSH, { key: rsa }))).toMatchObject({ kind: 'caller' });
});

test.for<readonly [string, Readonly<Record<string, unknown>>]>([
  ['another repository of that name', { ...PUSH, repository_id: '4712' }],
  ['another branch', { ...PUSH, ref: 'refs/heads/other' }],
  ['a pull request that says it is of the main branch', { ...PUSH, event_name: 'pull_request_target', ref: 'refs/heads/main' }],
  ['a fork of the project', { iss: GITLAB, sub: 'x', project_id: '13', ref_protected: 'true', pipeline_source: 'merge_request_event' }],
  ['a merge request', { iss: GITLAB, sub: 'x', project_id: '12', ref_protected: 'true', pipeline_source: 'merge_request_event' }],
  ['a branch that is not protected', { iss: GITLAB, sub: 'x', project_id: '12', ref_protected: 'false', pipeline_source: 'push' }],
  ['a foreign organisation', { iss: BUILDKITE, sub: 'x', organization_id: 'org-2', pipeline_id: 'p-1' }],
])('no rule is for %s', async ([, claims]) => {
  await expect(verifier.caller(await signed(claims))).rejects.toMatchObject({
    code: 'FORBIDDEN',
    message: expect.stringContaining('No rule'),
  });
});

const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');

test.for<readonly [string, () => Promise<string>, string]>([
  [
    'no signature',
    async () => `${part({ alg: 'none' })}.${part({ ...PUSH, aud: YARD, iat: seconds(), exp: seconds() + 60 })}.`,
    'nothing here',
  ],
  [
    'the public key as a shared secret',
    async () => {
      const head = part({ alg: 'HS256', kid: 'ci' });
      const body = part({ ...PUSH, aud: YARD, iat: seconds(), exp: seconds() + 60 });
      const mac = createHmac('sha256', JSON.stringify(ci.jwk)).update(`${head}.${body}`).digest('base64url');
      return `${head}.${body}.${mac}`;
    },
    'alg',
  ],
  ['another key under the same id', () => signed(PUSH, { key: foreign }), 'signature'],
  ["another issuer's key", () => signed({ ...PUSH, iss: CLUSTER, aud: 'switchyard' }), 'no applicable key'],
  ['another audience', () => signed({ ...PUSH, aud: 'https://other' }), 'not for this yard alone'],
  ['several audiences', () => signed({ ...PUSH, aud: [YARD, 'https://other'] }), 'not for this yard alone'],
  ['an unknown issuer', () => signed({ ...PUSH, iss: 'https://evil.example' }), 'nobody here trusts its issuer'],
  ['a time that is over', () => signed(PUSH, { lifeSeconds: -60 }), '"exp"'],
  ['a time that is still to come', () => signed(PUSH, { notBefore: 120 }), '"nbf"'],
  ['a life without end', () => signed({ ...PUSH, exp: undefined }), '"exp"'],
  ['rubbish', async () => 'eyJhbGciOiJFUzI1NiJ9.eyJ.x', 'no JWT'],
])('a token with %s is refused', async ([, token, message]) => {
  await expect(verifier.caller(await token())).rejects.toMatchObject({
    code: 'UNAUTHENTICATED',
    message: expect.stringContaining(message),
  });
});

test('clocks may be apart by half a minute', async () => {
  expect(await verifier.caller(await signed(PUSH, { lifeSeconds: -5 }))).toMatchObject({ kind: 'caller' });
  expect(await verifier.caller(await signed(PUSH, { notBefore: 5 }))).toMatchObject({ kind: 'caller' });
});

test('a service account of a cluster is the agent that its rule names, by keys that are pinned', async () => {
  const pod = { 'kubernetes.io': { namespace: 'switchyard', pod: { name: 'agent-x', uid: 'u-1' }, node: { name: 'node-7' } } };
  const account = { iss: CLUSTER, aud: ['switchyard'], sub: 'system:serviceaccount:switchyard:agent', jti: 'j-1', ...pod };
  const first = await verifier.agent(await signed(account, { key: cluster }));
  expect(first).toMatchObject({ zone: 'trusted', cluster: 'edge-1', pool: 'edge', names: ['agent-x', 'node-7'] });
  const again = await verifier.agent(await signed(account, { key: cluster, lifeSeconds: 400 }));
  expect(again.tokenId).toBe(first.tokenId);
  const other = { ...account, sub: 'system:serviceaccount:other:agent' };
  await expect(verifier.agent(await signed(other, { key: cluster }))).rejects.toMatchObject({ code: 'FORBIDDEN' });
  await expect(verifier.caller(await signed(account, { key: cluster }))).rejects.toMatchObject({ code: 'FORBIDDEN' });
});

test('keys that are pinned may be exchanged in their file alone, and a damaged one changes nothing', async () => {
  const [file, pinned] = [join(dir.path, 'rotated.json'), join(dir.path, 'rotated-keys.json')];
  const put = (text: string) => {
    writeFileSync(`${pinned}.new`, text);
    renameSync(`${pinned}.new`, pinned);
  };
  put(JSON.stringify({ keys: [cluster.jwk] }));
  const agents = [{ when: { sub: 'a' }, zone: 'trusted', cluster: 'c', pool: 'p' }];
  const issuer = { name: 'c', kind: 'kubernetes', issuer: CLUSTER, audience: 'switchyard', keys: { file: pinned }, agents };
  writeFileSync(file, JSON.stringify({ issuers: [issuer] }));
  const log = memoryLogger();
  using rotating = openTokenVerifier(file, { log, clock: systemClock });
  const by = async (key: Key) => rotating.agent(await signed({ iss: CLUSTER, aud: ['switchyard'], sub: 'a', jti: 'j' }, { key }));
  const next = await newKey('next');
  expect(await by(cluster)).toMatchObject({ pool: 'p' });
  await expect(by(next)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
  put(JSON.stringify({ keys: [cluster.jwk, next.jwk] }));
  await until('the new key counts', () => by(next));
  expect(await by(cluster)).toMatchObject({ pool: 'p' });
  put('{');
  await until('the damaged file is noticed', () => log.entries.some(({ event }) => event === 'issuers-not-reread'));
  expect(await by(next)).toMatchObject({ pool: 'p' });
  put(JSON.stringify({ keys: [next.jwk] }));
  await until('the old key counts no more', () =>
    by(cluster).then(
      () => false,
      () => true,
    ),
  );
});

test('a server takes such a token beside its own', async () => {
  const own = { sha256: '0'.repeat(64), identity: { kind: 'service', name: 's' } } as const;
  const authenticator = withIssuedTokens(tokenAuthenticator([own], undefined), verifier);
  const shown = (token: string) => authenticator.identify({ authorization: `Bearer ${token}`, loopback: false });
  expect(await shown(await signed(PUSH))).toMatchObject({ kind: 'caller', caller: { project: 'shop' } });
  expect(() => shown('other')).toThrow('not known here');
});

test.for([
  [{ when: { repository: 'acme/shop' } }, 'must name repository_id or repository_owner_id'],
  [{ when: { repository_id: '1', event_name: 'pull_request' } }, 'must be untrusted'],
  [{ when: { repository_id: '1' }, role: 'root' }, 'callers[0].role must be one of'],
  [{ when: { repository_id: '1' }, scop: 'main' }, 'callers[0].scop is not known'],
] as const)('a rule like %j is refused at the start', async ([rule, message]) => {
  const path = join(dir.path, 'wrong.json');
  const whole = { role: 'submitter', project: 'p', scope: 'main', zoneCeiling: 'trusted', ...rule };
  const issuer = { name: 'g', kind: 'github', issuer: GITHUB, audience: YARD, keys: { url: 'https://keys.example' }, callers: [whole] };
  writeFileSync(path, JSON.stringify({ issuers: [issuer] }));
  expect(() => openTokenVerifier(path, env)).toThrow(message);
});
