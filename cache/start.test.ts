import { generateKeyPairSync } from 'node:crypto';
import { rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { hashToken } from '../base/auth.ts';
import { systemClock } from '../base/clock.ts';
import { grantKeyFrom } from '../base/grant.ts';
import { memoryLogger } from '../base/log.ts';
import { Secret } from '../base/secret.ts';
import { parseKeyring } from '../base/signing.ts';
import { tempDir } from '../test/fixtures/temp-dir.ts';
import { until } from '../test/fixtures/until.ts';
import { parseCacheConfig } from './config.ts';
import { digestOf } from './digest.ts';
import { openDataPlane } from './rpc/client.ts';
import { startCache } from './start.ts';

const signal = new AbortController().signal;
const entry = (token: string) => ({ name: token, sha256: hashToken(token), kind: 'service' });

test('a token that comes into the file is let in, one that left is not, and a broken file changes nothing', async () => {
  await using dir = await tempDir();
  const tokens = join(dir.path, 'tokens.json');
  await writeFile(tokens, JSON.stringify([entry('old')]));
  const env = { log: memoryLogger(), clock: systemClock };
  const argv = ['--listen', '127.0.0.1:0', '--dir', join(dir.path, 'blobs'), '--tokens-file', tokens];
  await using cache = await startCache(parseCacheConfig({}, argv), env);
  const asks = async (token: string) => {
    await using data = openDataPlane({ link: { address: cache.address, token: new Secret(token) }, instanceName: 'p/main', env });
    return await data.store.findMissing([digestOf(Buffer.from('x'))], signal);
  };
  await asks('old');
  await expect(asks('new')).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
  await writeFile(tokens, JSON.stringify([entry('new')]));
  await until('the new one is let in', () => asks('new'));
  await expect(asks('old')).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
  await writeFile(tokens, '[');
  await until('the broken file is noticed', () => env.log.entries.some(({ event }) => event === 'tokens-not-reread'));
  await asks('new');
});

test('what it refuses for who asks is in its log with the reason and where it came from, and never with the token', async () => {
  await using dir = await tempDir();
  const tokens = join(dir.path, 'tokens.json');
  const viewer = { kind: 'caller', role: 'viewer', project: 'web', scope: 'main', zoneCeiling: 'trusted' };
  await writeFile(tokens, JSON.stringify([{ name: 'ann', sha256: hashToken('token-of-ann'), ...viewer }]));
  const env = { log: memoryLogger(), clock: systemClock };
  const argv = ['--listen', '127.0.0.1:0', '--dir', join(dir.path, 'blobs'), '--tokens-file', tokens];
  await using cache = await startCache(parseCacheConfig({}, argv), env);
  const open = (token: string) =>
    openDataPlane({ link: { address: cache.address, token: new Secret(token) }, instanceName: 'web/main', env });
  const bytes = Buffer.from('x');
  await using liar = open('token-of-nobody');
  await using ann = open('token-of-ann');
  await expect(liar.store.findMissing([digestOf(bytes)], signal)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
  await expect(ann.store.put(digestOf(bytes), bytes, signal)).rejects.toMatchObject({ code: 'FORBIDDEN' });
  const refused = () => env.log.entries.filter(({ event }) => event === 'call-refused').map(({ fields }) => fields);
  await until('both are in the log', () => refused().length === 2);
  const peer = expect.stringMatching(/^127\.0\.0\.1:\d+$/);
  const service = 'build.bazel.remote.execution.v2.ContentAddressableStorage';
  expect(refused()).toMatchObject([
    { actor: '', subject: `${service}/FindMissingBlobs`, detail: 'The token is not known here', peer, count: 1 },
    { actor: 'ann', subject: expect.any(String), detail: expect.stringContaining('role'), peer, count: 1 },
  ]);
  expect(JSON.stringify(refused())).not.toContain('token-of');
});

test('whoever the file of denials names is refused on every port, from the file on and until it is taken out', async () => {
  await using dir = await tempDir();
  const [tokens, denials] = [join(dir.path, 'tokens.json'), join(dir.path, 'denials.json')];
  const caller = { kind: 'caller', role: 'viewer', project: 'web', scope: 'main', zoneCeiling: 'trusted' };
  await writeFile(tokens, JSON.stringify(['ann', 'bob'].map((name) => ({ name, sha256: hashToken(name), ...caller }))));
  const env = { log: memoryLogger(), clock: systemClock };
  const ports = ['--listen', '127.0.0.1:0', '--http-listen', '127.0.0.1:0'];
  const argv = [...ports, '--dir', join(dir.path, 'blobs'), '--tokens-file', tokens, '--denials-file', denials];
  await using cache = await startCache(parseCacheConfig({}, argv), env);
  const asks = async (token: string) => {
    await using data = openDataPlane({ link: { address: cache.address, token: new Secret(token) }, instanceName: 'web/main', env });
    return await data.store.findMissing([digestOf(Buffer.from('x'))], signal);
  };
  const gets = async (token: string) => {
    const url = `http://${cache.httpAddress ?? ''}/ac/${digestOf(Buffer.from('x')).slice(0, 64)}`;
    return (await fetch(url, { headers: { authorization: `Bearer ${token}` } })).status;
  };
  const letsIn = async (token: string) => (await asks(token), (await gets(token)) === 404);
  expect(await letsIn('ann')).toBe(true);
  await writeFile(denials, JSON.stringify([{ subject: 'token:ann', reason: 'left', by: 'bob', at: 1 }]));
  await until('it is refused over HTTP', async () => (await gets('ann')) === 401);
  await expect(asks('ann')).rejects.toMatchObject({ code: 'UNAUTHENTICATED', message: 'token:ann was revoked by bob: left' });
  expect(await letsIn('bob')).toBe(true);
  await writeFile(denials, '[]');
  await until('it is let in again', () => letsIn('ann').catch(() => false));
  await writeFile(denials, JSON.stringify([{ subject: 'token:bob', reason: 'left', by: 'ann', at: 2 }]));
  await until('the other one is refused', async () => (await gets('bob')) === 401);
  const missed = (why: string) =>
    env.log.entries.some(({ event, fields }) => event === 'denials-not-reread' && String(fields['error']).includes(why));
  await writeFile(`${denials}.new`, '[{');
  await rename(`${denials}.new`, denials);
  await until('that it is damaged is noticed', () => missed('JSON array'));
  await rm(denials);
  await until('that it is gone is noticed', () => missed('ENOENT'));
  expect(await gets('bob')).toBe(401); // what was read last holds
});

test.for([
  ['cut off', '[{"subject": "agent:a-1", "rea'],
  ['no list', '{"subject": "agent:a-1"}'],
  ['with an entry that says not whom', '[{"reason": "stolen", "by": "ann", "at": 1}]'],
  ['empty', ''],
])('a data plane does not start with a file of denials that is %s: those who are revoked would be let in', async ([, text]) => {
  await using dir = await tempDir();
  const denials = join(dir.path, 'denials.json');
  await writeFile(denials, text ?? '');
  const env = { log: memoryLogger(), clock: systemClock };
  const argv = ['--listen', '127.0.0.1:0', '--dir', join(dir.path, 'blobs'), '--allow-local', '--denials-file', denials];
  await expect(startCache(parseCacheConfig({}, argv), env)).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    field: 'denialsFile',
    message: expect.stringContaining(`The file of denials ${denials} cannot be used: The file of denials must be a JSON array`),
    hint: expect.stringContaining('Remove it'),
  });
});

test('while the signing key is exchanged, grants by the old key and by the new one both hold', async () => {
  await using dir = await tempDir();
  const [tokens, file] = [join(dir.path, 'tokens.json'), join(dir.path, 'keys.pem')];
  const agent = { name: 'agents', kind: 'agent', cluster: 'local', pool: 'default', zone: 'trusted' } as const;
  await writeFile(tokens, JSON.stringify([{ ...agent, sha256: hashToken('agent') }]));
  const pem = () => generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  const [older, newer] = [pem(), pem()];
  await writeFile(file, older);
  const env = { log: memoryLogger(), clock: systemClock };
  const argv = ['--listen', '127.0.0.1:0', '--dir', join(dir.path, 'blobs'), '--tokens-file', tokens, '--signing-key-file', file];
  await using cache = await startCache(parseCacheConfig({}, argv), env);
  const link = { address: cache.address, token: new Secret('agent') };
  await using plane = openDataPlane({ link, instanceName: '', env, patienceMs: 0 });
  const asks = (key: string) => {
    const rights = { project: 'web', reads: ['main'], writes: 'main', producer: 'b-1', agent: agent.name, zone: agent.zone };
    const grant = grantKeyFrom(parseKeyring(key)).seal({ ...rights, token: 't-1', expiresAt: systemClock.now() + 60_000 });
    return plane.withGrant('web/main', () => grant).store.findMissing([digestOf(Buffer.from('x'))], signal);
  };
  await asks(older);
  await expect(asks(newer)).rejects.toMatchObject({ code: 'FORBIDDEN' });
  await writeFile(file, `${newer}${older}`);
  await until('grants of coordinators that have the new key hold', () => asks(newer));
  await asks(older);
  await writeFile(file, newer);
  await until('the file is read again', () => env.log.entries.filter(({ event }) => event === 'signing-keys-reread').length > 1);
  await asks(older); // its own coordinator may not have been started again
  await expect(asks(pem())).rejects.toMatchObject({ code: 'FORBIDDEN' });
});
