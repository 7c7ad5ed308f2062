import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { identityClient } from '../../agent/rpc/identity-client.ts';
import { newKeyPair, type KeyedCertificate } from '../../base/issue-certificate.ts';
import { newSigningRequest } from '../../base/signing-request.ts';
import { connectBuildServer, type BuildServer } from '../../cli/rpc/client.ts';
import { callUnary, dial } from '../../proto/dial.ts';
import { loadProto } from '../../proto/load.ts';
import type { DialTls } from '../../proto/tls.ts';
import { authorityIn, certificateBy, clientOf } from '../fixtures/certificates.ts';
import { startIdentityYard, type IdentityYard } from '../fixtures/identity-yard.ts';
import { newPrefix } from '../fixtures/redis-ledger.ts';
import { dropPrefix, sharedRedis } from '../fixtures/redis.ts';
import { tempDir, type TempDir } from '../fixtures/temp-dir.ts';
import { until } from '../fixtures/until.ts';

const never = new AbortController().signal;
const prefix = newPrefix();
let dir: TempDir;
let redis: Awaited<ReturnType<typeof sharedRedis>>;
let yard: IdentityYard;
let runner: KeyedCertificate;
let stranger: KeyedCertificate;

beforeAll(async () => {
  [dir, redis] = await Promise.all([tempDir(), sharedRedis()]);
  const ci = authorityIn(dir.path, 'ci');
  const rule = { when: { uri: 'spiffe://ci.example/shop/*' }, role: 'submitter', project: 'shop', scope: 'main', zoneCeiling: 'trusted' };
  const issuers = join(dir.path, 'issuers.json');
  writeFileSync(issuers, JSON.stringify({ certificates: [{ authority: 'ci', callers: [rule] }] }));
  runner = certificateBy(ci, { uri: 'spiffe://ci.example/shop/runner-7' });
  stranger = certificateBy(ci, { uri: 'spiffe://ci.example/other/runner-7' });
  const shared = ['--ledger', 'redis', '--redis-url', redis.url, '--redis-prefix', prefix, '--blobs-dir', join(dir.path, 'blobs')];
  yard = await startIdentityYard({ coordinators: 2, args: [...shared, '--issuers-file', issuers, '--caller-ca', `ci=${ci.file}`] });
});
afterAll(async () => {
  await yard[Symbol.asyncDispose]();
  await dropPrefix(redis.url, prefix);
  for (const part of [redis, dir]) await part[Symbol.asyncDispose]();
});

const showing = (own: KeyedCertificate): DialTls => ({ source: clientOf(yard.trusted.file, own) });

/** What each coordinator by itself answers whom shows that certificate. */
async function atEach<T>(own: KeyedCertificate, ask: (server: BuildServer) => Promise<T>): Promise<readonly unknown[]> {
  const answers = [];
  for (const { address } of yard.coordinators) {
    using server = connectBuildServer({ address, token: undefined, tls: showing(own) });
    answers.push(await ask(server).catch((error: unknown) => error));
  }
  return answers;
}

test('a caller with a certificate is the same at the coordinator that leads and at one that hands its calls on', async () => {
  const step = { name: 'one', command: ['true'] };
  const ids = await atEach(runner, (server) => server.submit({ idempotencyKey: 'one', name: 'one', steps: [step] }, never));
  expect(ids[0]).toMatchObject({ id: expect.stringMatching(/^b-/) });
  expect(ids[1]).toEqual({ ...(ids[0] as object), existing: true }); // as is checked above
  const refused = { code: 'FORBIDDEN', message: expect.stringContaining('ci:spiffe://ci.example/shop/runner-7 has the role submitter') };
  expect(await atEach(runner, (server) => server.agents(never))).toMatchObject([refused, refused]);
  const noRule = { code: 'FORBIDDEN', message: 'No rule of "certificates" of the authority ci is for spiffe://ci.example/other/runner-7' };
  expect(await atEach(stranger, (server) => server.server(never))).toMatchObject([noRule, noRule]);
});

test('a data plane hands on actions and operations of a caller with a certificate, and vouches for nobody else', async () => {
  for (const { dataAddress } of yard.coordinators) {
    const operations = async (own: KeyedCertificate) => {
      const client = dial(
        loadProto().google.longrunning.Operations,
        { address: dataAddress, token: undefined, tls: showing(own) },
        'control',
      );
      try {
        return await callUnary(client, 'listOperations', { name: 'shop/main' }, { signal: never, deadlineMs: 60_000 });
      } finally {
        client.close();
      }
    };
    expect(await operations(runner)).toMatchObject({ operations: [] });
    await expect(operations(stranger)).rejects.toMatchObject({ code: 'FORBIDDEN', message: expect.stringContaining('No rule of') });
  }
});

test('an enrolment token that two coordinators are asked to take at once is good for one key', async () => {
  for (let round = 0; round < 5; round += 1) {
    const token = await yard.token();
    const keys = Array.from({ length: 6 }, () => newKeyPair().key);
    const asked = keys.map((key, index) => {
      const credential = { signingRequest: newSigningRequest(key), agentId: `twin-${index}`, token, expiredCertificate: '' };
      const { address } = yard.coordinators[index % 2] ?? { address: '' };
      return identityClient(undefined).enrol(address, yard.tls.source, credential, never);
    });
    const answers = await Promise.allSettled(asked);
    expect(answers.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    for (const answer of answers)
      if (answer.status === 'rejected')
        expect(answer.reason).toMatchObject({ code: 'UNAUTHENTICATED', message: expect.stringContaining('was used before, by spiffe:') });
  }
  const recorded = async (outcome: string) =>
    (await yard.identity().audit({ act: 'enrol', outcome, who: 'twin-', limit: 100 }, never)).records;
  await until('it is recorded who came', async () => (await recorded('ok')).length === 5);
  await until('and who did not', async () => (await recorded('refused')).length > 0);
});

test('a certificate of a caller that is revoked is refused by all within seconds, whatever the rules say', async () => {
  const denied = 'spiffe://ci.example/shop/runner-7';
  await yard.identity().deny(denied, 'runner was taken over', 0, never);
  const isRefused = (answer: unknown) => String(answer).includes(`${denied} was revoked by admin: runner was taken over`);
  await until('both refuse it', async () => (await atEach(runner, (server) => server.server(never))).every(isRefused));
  const recorded = async () => {
    const { records } = await yard.identity().audit({ act: 'call', outcome: 'refused', limit: 100 }, never);
    return records.some(({ detail }) => isRefused(detail));
  };
  await until('that is recorded', recorded);
  await yard.identity().allow(denied, never);
  await until('both take it again', async () => !(await atEach(runner, (server) => server.server(never))).some(isRefused));
});
