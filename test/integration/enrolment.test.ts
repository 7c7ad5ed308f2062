import { generateKeyPairSync, sign, X509Certificate } from 'node:crypto';
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { identityClient } from '../../agent/rpc/identity-client.ts';
import type { EnrolCredential } from '../../agent/identity/keeper.ts';
import { issueCertificate, newKeyPair, validFor } from '../../base/issue-certificate.ts';
import { newSigningRequest } from '../../base/signing-request.ts';
import { agentUri } from '../../base/spiffe.ts';
import { systemClock } from '../../base/clock.ts';
import { isFault } from '../../base/fault.ts';
import { Secret } from '../../base/secret.ts';
import { callBidi, callUnary, dial } from '../../proto/dial.ts';
import { loadProto } from '../../proto/load.ts';
import type { DialTls } from '../../proto/tls.ts';
import { authorityIn, certificateBy, clientOf, type TestAuthority } from '../fixtures/certificates.ts';
import { startIdentityYard, type IdentityYard } from '../fixtures/identity-yard.ts';
import { tempDir, type TempDir } from '../fixtures/temp-dir.ts';
import { until } from '../fixtures/until.ts';

const never = new AbortController().signal;
let yard: IdentityYard;
let dir: TempDir;
const CLUSTER = 'https://kubernetes.default.svc';
const account = generateKeyPairSync('ec', { namedCurve: 'P-256' });

beforeAll(async () => {
  dir = await tempDir();
  const [keys, issuers] = [join(dir.path, 'keys.json'), join(dir.path, 'issuers.json')];
  writeFileSync(keys, JSON.stringify({ keys: [{ ...account.publicKey.export({ format: 'jwk' }), alg: 'ES256' }] }));
  const rule = { when: { sub: 'system:serviceaccount:switchyard:agent' }, zone: 'trusted', cluster: 'edge-1', pool: 'edge' };
  const issuer = { name: 'edge-1', kind: 'kubernetes', issuer: CLUSTER, audience: 'switchyard', keys: { file: keys }, agents: [rule] };
  writeFileSync(issuers, JSON.stringify({ issuers: [issuer] }));
  yard = await startIdentityYard({ args: ['--certificate-grace', '1h', '--audit-records', '1000', '--issuers-file', issuers] });
}, 120_000);
afterAll(async () => {
  await yard[Symbol.asyncDispose]();
  await dir[Symbol.asyncDispose]();
});

/** A projected token of the service account, as the kubelet gives it to a pod. */
function podToken(pod: string, algorithm: 'ES256' | 'none' = 'ES256'): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const now = Math.floor(systemClock.now() / 1_000);
  const claims = { iss: CLUSTER, aud: ['switchyard'], sub: 'system:serviceaccount:switchyard:agent', iat: now, nbf: now, exp: now + 600 };
  const text = `${part({ alg: algorithm })}.${part({ ...claims, jti: `${pod}-1`, 'kubernetes.io': { pod: { name: pod, uid: 'u' } } })}`;
  if (algorithm === 'none') return `${text}.`;
  return `${text}.${sign('sha256', Buffer.from(text), { key: account.privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
}

/** Asks for a certificate as an agent does that has made its key already. */
function enrol(over: Partial<EnrolCredential>) {
  const credential = {
    signingRequest: newSigningRequest(newKeyPair().key),
    agentId: 'by-hand',
    token: '',
    expiredCertificate: '',
    ...over,
  };
  return identityClient(undefined).enrol(yard.address, yard.tls.source, credential, never);
}

/** What was recorded of it, newest first. */
async function audited(query: { readonly act?: string; readonly outcome?: string; readonly who?: string }) {
  return (await yard.identity().audit({ limit: 100, ...query }, never)).records;
}

test('an agent comes in with a token, makes its own key, and comes back without one', { timeout: 120_000 }, async () => {
  const token = await yard.token();
  const path = join(yard.dir, 'a-1', 'identity.pem');
  {
    await using agent = await yard.agent('a-1', '--enroll', token);
    await agent.session.registered;
    const { agents } = await yard.build().agents(never);
    expect(agents).toMatchObject([{ agent: 'a-1', connected: true, labels: { cluster: 'c', pool: 'p', zone: 'trusted' } }]);
  }
  const kept = readFileSync(path, 'utf8');
  expect(statSync(path).mode & 0o777).toBe(0o600);
  const leaf = new X509Certificate(/-----BEGIN CERT[^]*?END CERTIFICATE-----/.exec(kept)?.[0] ?? '');
  expect(leaf.subjectAltName).toBe('URI:spiffe://switchyard/zone/trusted/cluster/c/pool/p/agent/a-1');
  expect(leaf.ca).toBe(false);
  const [record] = await audited({ act: 'enrol', who: '/a-1' });
  expect(record).toMatchObject({ outcome: 'ok', actor: 'a-1', detail: expect.stringContaining(leaf.serialNumber) });
  // Neither the secret of the token nor the key is in what the coordinator keeps or says.
  const said = JSON.stringify([yard.log.entries, await audited({}), await yard.identity().enrolments(never)]);
  for (const secret of [token, token.split('.')[1] ?? '', /KEY-----\n(.{64})/.exec(kept)?.[1] ?? '']) expect(said).not.toContain(secret);
  expect(readFileSync(join(yard.dir, 'state-0', 'identity.sqlite')).includes(token.split('.')[1] ?? '')).toBe(false);
  {
    await using again = await yard.agent('a-1', '--enroll', token);
    await again.session.registered;
  }
  expect(readFileSync(path, 'utf8')).toBe(kept);
});

test.for<readonly [string, () => Promise<Partial<EnrolCredential>>, string]>([
  ['made up', async () => ({ token: `swe1.${'A'.repeat(43)}.system` }), 'not known here'],
  ['cut', async () => ({ token: (await yard.token()).slice(0, -1) }), 'not known here'],
  ['of another form', async () => ({ token: 'a-secret' }), 'none by which agents enrol here'],
  ['for another agent', async () => ({ token: await yard.token({ agentId: 'other' }) }), 'is for the agent other'],
  ['for another place', async () => ({ token: await yard.token({ from: '10.0.0.0/8' }) }), 'is for agents at 10.0.0.0/8'],
  [
    'with a request for another zone',
    async () => {
      const uri = agentUri('switchyard', { zone: 'production', cluster: 'c', pool: 'p', id: 'by-hand' });
      return { token: await yard.token(), signingRequest: newSigningRequest(newKeyPair().key, uri) };
    },
    'wants another name than the credential is for',
  ],
])('a token %s lets nobody in, and that is recorded', async ([, credential, message]) => {
  const refused = await enrol(await credential()).catch((error: unknown) => error);
  expect(refused).toMatchObject({
    code: expect.stringMatching(/^(UNAUTHENTICATED|FORBIDDEN)$/),
    message: expect.stringContaining(message),
  });
  const records = await audited({ act: 'enrol', outcome: 'refused', who: 'by-hand' });
  expect(records.map(({ detail }) => detail).join('\n')).toContain(message);
});

test('a token is worth one key: who replays it is refused, and who lost the answer gets it again', async () => {
  const token = await yard.token();
  const { key } = newKeyPair();
  const mine = { token, signingRequest: newSigningRequest(key) };
  const all = await Promise.allSettled([enrol(mine), enrol({ token }), enrol({ token }), enrol({ token })]);
  expect(all.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  const winner = all[0]?.status === 'fulfilled';
  const again = await enrol(mine).catch((error: unknown) => error);
  if (winner) expect(again).toMatchObject({ certificate: expect.stringContaining('BEGIN') });
  else expect(again).toMatchObject({ message: expect.stringContaining('was used before') });
  await expect(enrol({ token })).rejects.toMatchObject({
    code: 'UNAUTHENTICATED',
    message: expect.stringContaining('was used before, by spiffe:'),
  });
  const records = await audited({ act: 'enrol', outcome: 'refused', who: 'by-hand' });
  expect(records.map(({ detail }) => detail).join('\n')).toContain('was used before, by spiffe:');
});

test('a token ends with its time, and when it is revoked', async () => {
  const short = await yard.token({ ttlMs: 1 });
  await expect(enrol({ token: short })).rejects.toMatchObject({ message: expect.stringContaining('expired at') });
  const token = await yard.token();
  const identity = yard.identity();
  const [newest] = await identity.enrolments(never);
  await identity.revokeEnrolment(newest?.id ?? '', never);
  await expect(enrol({ token })).rejects.toMatchObject({ message: expect.stringContaining('was revoked by admin') });
});

test('who may not reach a zone lets no agent into it, and only admins make tokens', async () => {
  const wanted = { zone: 'production', cluster: 'c', pool: 'p' };
  await expect(yard.identity('lesser').createEnrolment(wanted, never)).rejects.toMatchObject({ code: 'FORBIDDEN', field: 'zone' });
  await expect(yard.identity('operator').createEnrolment(wanted, never)).rejects.toMatchObject({ code: 'FORBIDDEN' });
  const records = await audited({ act: 'call', outcome: 'refused', who: 'operator' });
  expect(records[0]).toMatchObject({
    subject: 'switchyard.v1.Identity/CreateEnrolment',
    detail: expect.stringContaining('needs the role admin'),
  });
  await expect(yard.token({ zone: 'untrusted' })).rejects.toMatchObject({
    code: 'WRONG_STATE',
    message: expect.stringContaining('no key of the zone'),
  });
});

test('an agent tells its token to nobody but the yard that it is for', { timeout: 60_000 }, async () => {
  const token = await yard.token();
  const [form, secret] = token.split('.');
  const refused = await yard.agent('a-2', '--enroll', `${form}.${secret}.${'0'.repeat(64)}`).catch((error: unknown) => error);
  expect(refused).toMatchObject({ code: 'UNAUTHENTICATED', message: expect.stringContaining('is not the yard') });
  await using agent = await yard.agent('a-2', '--enroll', token); // nobody has used it
  await agent.session.registered;
});

test('an agent that was away for longer than its certificate comes back by its key, within the grace', { timeout: 60_000 }, async () => {
  const uri = agentUri('switchyard', { zone: 'trusted', cluster: 'c', pool: 'p', id: 'a-3' });
  const { key, publicKey } = newKeyPair();
  const over = (agoMs: number, authority = yard.trusted) =>
    issueCertificate(authority, publicKey, { uri }, { ...validFor(systemClock.now() - 7_200_000, 0), to: systemClock.now() - agoMs });
  const path = join(yard.dir, 'a-3', 'identity.pem');
  mkdirSync(join(yard.dir, 'a-3'));
  writeFileSync(path, `${key}${over(60_000)}${yard.trusted.cert}`, { mode: 0o600 });
  await using agent = await yard.agent('a-3', '--enroll-file', join(yard.dir, 'no-such-file'));
  await agent.session.registered;
  expect((await audited({ act: 'enrol', who: '/a-3' }))[0]).toMatchObject({ detail: expect.stringContaining('by the key of serial') });
  const request = newSigningRequest(key);
  const refusal = (expiredCertificate: string, signingRequest = request) =>
    enrol({ signingRequest, expiredCertificate }).then(
      () => 'let in',
      (error: Error) => error.message,
    );
  expect(await refusal(over(3_600_000 + 5_000))).toContain('too long');
  expect(await refusal(over(60_000, authorityIn(yard.dir, 'foreign')))).toContain('no authority of a zone known here');
  expect(await refusal(over(60_000, yard.production))).toContain('names no agent of the zone production');
  expect(await refusal(over(60_000), newSigningRequest(newKeyPair().key))).toContain('signed with the key of the certificate of before');
  expect(await refusal(over(60_000))).toBe('let in');
  // A key that was stolen does for no certificate once the certificate is revoked, though its agent is let in.
  const stolen = over(60_000);
  const { serialNumber } = new X509Certificate(stolen);
  await yard.identity().deny(`serial:${serialNumber}`, 'key was copied', 0, never);
  expect(await refusal(stolen)).toContain(`serial:${serialNumber} was revoked by admin: key was copied`);
  expect(await refusal(over(60_000))).toBe('let in');
  await yard.identity().allow(`serial:${serialNumber}`, never);
  expect(await refusal(stolen)).toBe('let in');
});

test(
  'a revoked agent is out within seconds with what it has open, is not let in again, and is allowed again',
  { timeout: 120_000 },
  async () => {
    await using agent = await yard.agent('a-4', '--enroll', await yard.token());
    await agent.session.registered;
    const identity = yard.identity();
    const connected = async () => (await yard.build().agents(never)).agents.some((one) => one.agent === 'a-4' && one.connected);
    expect(await connected()).toBe(true);
    await identity.deny('agent:a-4', 'stolen', 0, never);
    await until('its stream is ended', async () => !(await connected()));
    expect(await identity.denials(never)).toMatchObject([{ subject: 'agent:a-4', reason: 'stolen', by: 'admin' }]);
    const token = await yard.token();
    await expect(enrol({ token, agentId: 'a-4' })).rejects.toMatchObject({ message: 'agent:a-4 was revoked by admin: stolen' });
    await until('that is recorded', async () => (await audited({ act: 'call', outcome: 'refused', who: 'Agent/Session' })).length > 0);
    const denials = join(yard.dir, 'state-0', 'denials.json');
    await until('the data plane can know', () => readFileSync(denials, 'utf8').includes('agent:a-4'));
    expect(await identity.allow('agent:a-4', never)).toBe(true);
    expect(await identity.allow('agent:a-4', never)).toBe(false);
  },
);

test('a pod comes in with the token of its service account, once, as the member that the rule says', { timeout: 60_000 }, async () => {
  const file = join(dir.path, 'pod-token');
  writeFileSync(file, podToken('pod-a'));
  await using agent = await yard.agent('pod-a', '--enroll-file', file, '--tls-ca', yard.trusted.file);
  await agent.session.registered;
  const { agents } = await yard.build().agents(never);
  expect(agents.find((one) => one.agent === 'pod-a')).toMatchObject({ labels: { cluster: 'edge-1', pool: 'edge', zone: 'trusted' } });
  await expect(enrol({ token: podToken('pod-a'), agentId: 'pod-a' })).rejects.toMatchObject({
    code: 'UNAUTHENTICATED',
    message: expect.stringContaining('was used before, by spiffe:'),
  });
  await expect(enrol({ token: podToken('pod-b'), agentId: 'pod-c' })).rejects.toMatchObject({ code: 'FORBIDDEN', field: 'agent_id' });
  await expect(enrol({ token: podToken('pod-b', 'none'), agentId: 'pod-b' })).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
  const records = await audited({ act: 'enrol', outcome: 'refused', who: 'pod-' });
  expect(records.map(({ subject }) => subject).toSorted()).toEqual(['pod-a', 'pod-b', 'pod-c']);
});

test('who claims another zone, and who asks for one that it may not reach, is refused with a record', { timeout: 60_000 }, async () => {
  const liar = await yard.agent('a-5', '--enroll', await yard.token(), '--label', 'zone=production').catch((error: unknown) => error);
  expect(liar).toMatchObject({ code: 'CONFIG_INVALID' }); // our own agent does not even try
  const { key } = newKeyPair();
  const issued = await enrol({ token: await yard.token(), signingRequest: newSigningRequest(key), agentId: 'liar' });
  const tls = { source: clientOf(yard.trusted.file, { cert: issued.certificate, key }) };
  const client = dial(loadProto().switchyard.v1.Agent, { address: yard.address, token: undefined, tls }, 'control');
  const capacity = { cpuMillis: 1_000, memoryBytes: 1_000, slots: 1 };
  const register = { agentId: 'liar', bootId: 'b', labels: { zone: 'production' }, capacity, credits: 1, protocolMin: 1, protocolMax: 2 };
  const answers: unknown[] = [];
  const said = (async function* () {
    yield { messages: [{ register }] };
  })();
  await callBidi(client, 'session', said, { signal: never }, ({ messages }) => answers.push(...messages));
  client.close();
  expect(answers).toMatchObject([{ refused: { retry: false, reason: expect.stringContaining('claims zone=production') } }]);
  expect((await audited({ act: 'register', outcome: 'refused' }))[0]).toMatchObject({ actor: 'c/p/liar', subject: 'liar' });
  const step = { name: 'deploy', command: ['true'], zone: 'ZONE_PRODUCTION' as const };
  const submitted = yard.build('fork').submit({ idempotencyKey: 'deploy-1', name: 'deploy', steps: [step] }, never);
  await expect(submitted).rejects.toMatchObject({ code: 'FORBIDDEN', message: expect.stringContaining('production') });
  const [record] = await audited({ act: 'call', outcome: 'refused', who: 'fork' });
  expect(record).toMatchObject({
    subject: 'switchyard.v1.Build/SubmitBuild',
    actor: 'fork',
    detail: expect.stringContaining('production'),
  });
});

test('a call with a forged credential is refused, and the record says what was wrong with it', { timeout: 60_000 }, async () => {
  const service = loadProto().switchyard.v1.Build;
  const dialled = (tls: DialTls, token?: string) =>
    dial(service, { address: yard.address, token: token === undefined ? undefined : new Secret(token), tls }, 'control');
  const member = (zone: 'trusted' | 'production') => ({ agent: { zone, cluster: 'c', pool: 'p', id: 'forger' } });
  const shown = (by: TestAuthority, zone: 'trusted' | 'production', lifeMs?: number) => ({
    source: clientOf(yard.trusted.file, certificateBy(by, { ...member(zone), ...(lifeMs === undefined ? {} : { lifeMs }) })),
  });
  const foreign = authorityIn(yard.dir, 'stranger');
  const cases = [
    [dialled(shown(yard.trusted, 'production')), 'it names the zone production, and the authority of the zone trusted has signed it'],
    [dialled(shown(yard.production, 'trusted')), 'it names the zone trusted, and the authority of the zone production has signed it'],
    [dialled(shown(foreign, 'trusted')), "The client's certificate counts for nothing here"],
    [dialled(shown(foreign, 'production'), 'admin'), "The client's certificate counts for nothing here"], // whatever token comes with it
    [dialled(shown(yard.trusted, 'trusted', -60_000)), "The client's certificate counts for nothing here"],
    [dialled(yard.tls, 'made-up'), 'The token is not known here'],
    [dialled(yard.tls, podToken('pod-z', 'none')), undefined],
    [dialled(yard.tls, `${podToken('pod-z').slice(0, -20)}${'A'.repeat(20)}`), undefined],
  ] as const;
  for (const [client, message] of cases) {
    const since = systemClock.now();
    const fault: unknown = await callUnary(client, 'listBuilds', {}, { signal: never }).catch((error: unknown) => error);
    client.close();
    expect(fault).toMatchObject({
      code: 'UNAUTHENTICATED',
      ...(message === undefined ? {} : { message: expect.stringContaining(message) }),
    });
    const { records } = await yard.identity().audit({ act: 'call', outcome: 'refused', sinceMs: since, limit: 100 }, never);
    expect(records[0]).toMatchObject({
      subject: 'switchyard.v1.Build/ListBuilds',
      detail: isFault(fault) ? fault.message : '',
      peer: expect.stringMatching(/^127\.0\.0\.1:\d+$/),
    });
  }
});
