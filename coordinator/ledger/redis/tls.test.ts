import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { present } from '../../../base/assert.ts';
import { openAt } from '../../../test/fixtures/redis-ledger.ts';
import { startRedis, type RedisServer } from '../../../test/fixtures/redis.ts';
import { tempDir, type TempDir } from '../../../test/fixtures/temp-dir.ts';
import { freePorts } from '../../../test/fixtures/ports.ts';

const signal = new AbortController().signal;
let dir: TempDir;
let redis: RedisServer;
let tlsPort: number;
const file = (name: string) => join(dir.path, name);

/** An authority, and a certificate of it for the name. */
function makeCertificates(name: string): void {
  const openssl = (...args: readonly string[]) => execFileSync('openssl', args, { cwd: dir.path, stdio: 'pipe' });
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  openssl('req', '-x509', ...key, '-keyout', 'ca.key', '-out', 'ca.pem', '-days', '2', '-subj', '/CN=test authority');
  openssl('req', ...key, '-keyout', 'server.key', '-out', 'server.csr', '-subj', `/CN=${name}`, '-addext', `subjectAltName=DNS:${name}`);
  openssl(
    'x509',
    '-req',
    '-in',
    'server.csr',
    '-CA',
    'ca.pem',
    '-CAkey',
    'ca.key',
    '-CAcreateserial',
    '-copy_extensions',
    'copy',
    '-days',
    '2',
    '-out',
    'server.pem',
  );
}

beforeAll(async () => {
  dir = await tempDir();
  makeCertificates('redis.example');
  tlsPort = present((await freePorts(1))[0], 'a port');
  const files = ['--tls-cert-file', file('server.pem'), '--tls-key-file', file('server.key'), '--tls-ca-cert-file', file('ca.pem')];
  const tls = {
    port: tlsPort,
    tls: {
      ca: readFileSync(file('ca.pem')),
      cert: readFileSync(file('server.pem')),
      key: readFileSync(file('server.key')),
      servername: 'redis.example',
    },
  };
  redis = await startRedis({ port: 0, args: ['--tls-port', String(tlsPort), ...files], admin: tls });
});
afterAll(async () => {
  await redis[Symbol.asyncDispose]();
  await dir[Symbol.asyncDispose]();
});

it('talks TLS with a certificate of its own, to the server that has the name', async () => {
  const values = {
    redisCaFile: file('ca.pem'),
    redisCertFile: file('server.pem'),
    redisKeyFile: file('server.key'),
    redisServerName: 'redis.example',
  };
  await using ledger = await openAt(`rediss://127.0.0.1:${tlsPort}`, { values });
  expect(await ledger.lead({ id: 'a', address: 'a:1' }, 60_000, signal)).toBeDefined();
});

it('trusts no server whose authority or name it was not told', async () => {
  const url = `rediss://127.0.0.1:${tlsPort}`;
  const refusal = { code: 'LEDGER_UNAVAILABLE', hint: expect.stringContaining('--redis-ca-file') };
  await expect(openAt(url, { openMs: 3_000 })).rejects.toMatchObject(refusal);
  await expect(openAt(url, { openMs: 3_000, values: { redisCaFile: file('ca.pem') } })).rejects.toMatchObject(refusal);
});
