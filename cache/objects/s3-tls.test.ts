import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { createServer } from 'node:tls';
import { expect, test } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import { silentLogger } from '../../base/log.ts';
import { readObject } from '../../test/contract/object-store.ts';
import { startFakeS3 } from '../../test/fixtures/fake-s3.ts';
import { tempDir } from '../../test/fixtures/temp-dir.ts';
import { openS3Objects } from './s3.ts';

const signal = new AbortController().signal;
const env = { log: silentLogger, clock: systemClock };

/** TLS in front of a port of loopback, with a certificate that nobody else has signed; its PEM is the authority. */
async function serveTls(port: number): Promise<{ readonly endpoint: string; readonly ca: string } & AsyncDisposable> {
  await using dir = await tempDir();
  const [keyFile, certFile] = [join(dir.path, 'key.pem'), join(dir.path, 'cert.pem')];
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', keyFile];
  const names = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];
  execFileSync('openssl', ['req', '-x509', ...key, '-out', certFile, '-days', '2', ...names], { stdio: 'pipe' });
  const cert = readFileSync(certFile, 'utf8');
  const server = createServer({ key: readFileSync(keyFile), cert }, (socket) => {
    const target = connect(port, '127.0.0.1');
    socket.on('error', () => target.destroy()).pipe(target);
    target.on('error', () => socket.destroy()).pipe(socket);
  });
  server.on('tlsClientError', () => undefined); // whoever does not trust it goes
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('no port');
  return {
    endpoint: `https://127.0.0.1:${address.port}`,
    ca: cert,
    [Symbol.asyncDispose]: async () => void server.close(),
  };
}

test('an endpoint is reached over TLS where its authority is given, and refused by name of the option where it is not', async () => {
  await using fake = await startFakeS3();
  await using tls = await serveTls(Number(new URL(fake.endpoint).port));
  const config = { ...fake.config, endpoint: tls.endpoint };
  await using store = await openS3Objects({ config: { ...config, ca: tls.ca }, env }, signal);
  await store.put('over/tls', Buffer.from('content'), { ifAbsent: true }, signal);
  expect((await readObject(store, 'over/tls')).toString()).toBe('content');
  expect(store.presignGet('over/tls', 60_000)).toMatch(/^https:/);
  await expect(openS3Objects({ config, env }, signal)).rejects.toThrow(/--s3-endpoint or --s3-ca-file: no trusted connection/);
});
