import { mkdir, writeFile } from 'node:fs/promises';
import { request } from 'node:https';
import { join } from 'node:path';
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { hashToken } from '../../base/auth.ts';
import { Secret } from '../../base/secret.ts';
import { connectBuildServer } from '../../cli/rpc/client.ts';
import { authorityIn, certificateBy, clientOf, writeCertificate } from '../fixtures/certificates.ts';
import { freePorts } from '../fixtures/ports.ts';
import { startSwitchyard, type RunningProcess } from '../fixtures/run-process.ts';
import { tempDir } from '../fixtures/temp-dir.ts';

const TOKENS = [
  {
    name: 'ci',
    sha256: hashToken('caller-token'),
    kind: 'caller',
    role: 'operator',
    project: 'shop',
    scope: 'main',
    zoneCeiling: 'trusted',
  },
];

/** A coordinator that listens on all interfaces over TLS, with its data plane and its HTTP caches, and what others need to reach it. */
async function startYard() {
  await using stack = new AsyncDisposableStack();
  const dir = stack.use(await tempDir());
  const at = (name: string) => join(dir.path, name);
  const trusted = authorityIn(dir.path, 'trusted');
  const server = writeCertificate(dir.path, 'server', certificateBy(trusted, { hosts: ['yard.test'] }));
  const agent = certificateBy(trusted, { agent: { zone: 'trusted', cluster: 'c', pool: 'p', id: 'a-1' } });
  const own = writeCertificate(dir.path, 'agent', agent);
  await writeFile(at('tokens.json'), JSON.stringify(TOKENS));
  await writeFile(at('caller'), 'caller-token');
  const [port = 0, dataPort = 0, httpPort = 0, metricsPort = 0] = await freePorts(4);
  const listen = ['--listen', `0.0.0.0:${port}`, '--data-listen', `0.0.0.0:${dataPort}`, '--data-address', `127.0.0.1:${dataPort}`];
  const more = ['--data-http-listen', `0.0.0.0:${httpPort}`, '--metrics-listen', `0.0.0.0:${metricsPort}`];
  const files = ['--tokens-file', at('tokens.json'), '--state-dir', at('state')];
  const tls = ['--tls-cert', server.cert, '--tls-key', server.key, '--tls-ca', trusted.file, '--zone-ca', `trusted=${trusted.file}`];
  const parts = new AsyncDisposableStack();
  stack.use(parts);
  const run = (args: readonly string[]): RunningProcess => parts.use(startSwitchyard(args, { cwd: dir.path }));
  await run(['coordinator', ...listen, ...more, ...tls, ...files]).ready(240_000);
  await mkdir(at('work'));
  const link = { address: `127.0.0.1:${port}`, token: new Secret('caller-token') };
  const yardServer = stack.use(connectBuildServer({ ...link, tls: { source: clientOf(trusted.file), serverName: 'yard.test' } }));
  const whole = stack.move();
  const reach = ['--tls-ca', trusted.file, '--tls-server-name', 'yard.test'];
  return {
    ca: readFileSync(trusted.file),
    server: yardServer,
    httpPort,
    metricsPort,
    agent: (...args: readonly string[]) =>
      run(['agent', '--coordinator', link.address, '--id', 'a-1', '--work-dir', at('work'), '--sandbox', 'process', ...reach, ...args]),
    own: ['--tls-cert', own.cert, '--tls-key', own.key],
    call: (...args: readonly string[]) => {
      const [command = '', ...rest] = args;
      return run([command, '--server', `127.0.0.1:${port}`, '--token-file', at('caller'), ...reach, ...rest]);
    },
    [Symbol.asyncDispose]: () => whole.disposeAsync(),
  };
}

function get(port: number, path: string, ca: Buffer, token?: string): Promise<number> {
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  return new Promise((resolve, reject) => {
    const asked = request({ host: '127.0.0.1', servername: 'yard.test', port, path, ca, headers, agent: false }, (answer) => {
      answer.resume();
      resolve(answer.statusCode ?? 0);
    });
    asked.once('error', reject);
    asked.end();
  });
}

test('a yard that listens for others does all of its work over TLS', { timeout: 400_000 }, async () => {
  await using yard = await startYard();
  const agent = yard.agent(...yard.own);
  await agent.ready(240_000);
  const step = yard.call('exec', '--', 'sh', '-c', 'echo over TLS');
  expect((await step.ended).code, step.stderr()).toBe(0);
  const { agents } = await yard.server.agents(new AbortController().signal);
  expect(agents).toMatchObject([{ agent: 'a-1', connected: true, labels: { cluster: 'c', pool: 'p', zone: 'trusted' } }]);
  const key = `/ac/${'0'.repeat(64)}`;
  expect(await get(yard.httpPort, key, yard.ca)).toBe(401);
  expect(await get(yard.httpPort, key, yard.ca, 'caller-token')).toBe(404);
  expect(await get(yard.metricsPort, '/metrics', yard.ca)).toBe(200);
});
