import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { tokenAuthenticator, hashToken, type Identity } from '../base/auth.ts';
import { systemClock } from '../base/clock.ts';
import type { KeyedCertificate } from '../base/issue-certificate.ts';
import { memoryLogger } from '../base/log.ts';
import { Secret } from '../base/secret.ts';
import { openServerTls } from '../base/server-tls.ts';
import { agentUri } from '../base/spiffe.ts';
import { authorityIn, certificateBy, clientOf, DOMAIN, writeCertificate, type TestAuthority } from '../test/fixtures/certificates.ts';
import { tempDir, type TempDir } from '../test/fixtures/temp-dir.ts';
import { until } from '../test/fixtures/until.ts';
import { callServerStream, callUnary, dial, type Link } from './dial.ts';
import { serverStream, unary } from './handlers.ts';
import { loadProto } from './load.ts';
import { serve, type RunningServer } from './serve.ts';

const never = new AbortController().signal;
const AGENT = { zone: 'trusted', cluster: 'c', pool: 'p', id: 'a-1' } as const;
const TOKENS = [
  { sha256: hashToken('agent-token'), identity: { kind: 'agent', name: 'old', cluster: 'c', pool: 'p', zone: 'trusted' } as const },
  { sha256: hashToken('service-token'), identity: { kind: 'service', name: 's' } as const },
];

let dir: TempDir;
let trusted: TestAuthority;
let untrusted: TestAuthority;
let stack: AsyncDisposableStack;

beforeEach(async () => {
  stack = new AsyncDisposableStack();
  dir = stack.use(await tempDir());
  trusted = authorityIn(dir.path, 'trusted');
  untrusted = authorityIn(dir.path, 'untrusted');
});
afterEach(() => stack.disposeAsync());

type Served = { readonly server: RunningServer; readonly log: ReturnType<typeof memoryLogger> };

/** A server for 127.0.0.1 that answers who it thinks calls, and streams until it is told to end. */
async function start(options: { readonly agentTokens?: boolean } = {}): Promise<Served> {
  const log = memoryLogger();
  const env = { log, clock: systemClock };
  const files = writeCertificate(dir.path, 'server', certificateBy(trusted, { hosts: ['127.0.0.1'] }));
  const zoneCa = [`trusted=${trusted.file}`, `untrusted=${untrusted.file}`];
  const tls = stack.use(openServerTls({ tlsCert: files.cert, tlsKey: files.key, zoneCa, callerCa: [] }, log));
  const handlers = {
    QueryWriteStatus: unary<unknown, object>(env, 'QueryWriteStatus', async (_, { identity }) => {
      seen.push(identity);
      return {};
    }),
    Read: serverStream<unknown, object>(env, 'Read', async function* () {
      for (let n = 0; ; n += 1) {
        yield { data: Buffer.from([n % 256]) };
        await new Promise((resolve) => setImmediate(resolve));
      }
    }),
  };
  const services = [{ definition: loadProto().google.bytestream.ByteStream.service, handlers }];
  const authenticator = tokenAuthenticator(TOKENS, undefined, options);
  const server = stack.use(await serve({ listen: '127.0.0.1:0', services, authenticator, tls, env, drainMs: 0 }));
  return { server, log };
}

let seen: Identity[] = [];

function clientAt(link: Link) {
  const client = dial(loadProto().google.bytestream.ByteStream, link, 'control');
  stack.defer(() => client.close());
  return client;
}

async function whoAmI({ server }: Served, own?: KeyedCertificate, token?: string): Promise<Identity | undefined> {
  seen = [];
  const tls = { source: clientOf(trusted.file, own) };
  const client = clientAt({ address: server.address, token: token === undefined ? undefined : new Secret(token), tls });
  await callUnary(client, 'QueryWriteStatus', {}, { signal: never });
  return seen[0];
}

test('a certificate says which agent it is, of which zone, and under which id it may register', async () => {
  const served = await start();
  expect(await whoAmI(served, certificateBy(trusted, { agent: AGENT }))).toEqual({
    kind: 'agent',
    name: 'c/p/a-1',
    ...AGENT,
    certificate: { uri: agentUri(DOMAIN, AGENT), serial: expect.stringMatching(/^[0-9A-F]+$/), validTo: expect.any(Number) },
  });
  const other = { ...AGENT, zone: 'untrusted' } as const;
  expect(await whoAmI(served, certificateBy(untrusted, { agent: other }))).toMatchObject({ zone: 'untrusted' });
});

test('clients without a certificate show tokens', async () => {
  const served = await start();
  expect(await whoAmI(served, undefined, 'service-token')).toEqual({ kind: 'service', name: 's' });
  await expect(whoAmI(served)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
});

test("over TLS an agent's token alone does nothing, unless that is said", async () => {
  const refused = { code: 'UNAUTHENTICATED', message: expect.stringContaining('over TLS agents show a certificate') };
  await expect(whoAmI(await start(), undefined, 'agent-token')).rejects.toMatchObject(refused);
  expect(await whoAmI(await start({ agentTokens: true }), undefined, 'agent-token')).toMatchObject({ kind: 'agent', name: 'old' });
});

test.for([
  [
    'of the wrong zone',
    () => certificateBy(untrusted, { agent: AGENT }),
    'names the zone trusted, and the authority of the zone untrusted',
  ],
  ['of another authority', () => certificateBy(authorityIn(dir.path, 'foreign'), { agent: AGENT }), 'no authority of a zone known here'],
  ['that has expired', () => certificateBy(trusted, { agent: AGENT, lifeMs: -60_000 }), 'CERT_HAS_EXPIRED'],
  ['without a URI', () => certificateBy(trusted, { hosts: ['a.example'] }), 'exactly one URI'],
  ['that names no agent', () => certificateBy(trusted, { uri: 'spiffe://yard.test/zone/trusted' }), 'names no agent'],
  ['of a made-up zone', () => certificateBy(trusted, { uri: 'spiffe://d/zone/root/cluster/c/pool/p/agent/a' }), 'names no agent'],
] as const)('a certificate %s is refused, whatever token comes with it', async ([, make, why]) => {
  const served = await start();
  const refused = { code: 'UNAUTHENTICATED', message: expect.stringContaining(why) };
  await expect(whoAmI(served, make())).rejects.toMatchObject(refused);
  await expect(whoAmI(served, make(), 'service-token')).rejects.toMatchObject(refused);
});

test('a client refuses a server that its authority did not sign, or that is another one', async () => {
  const { server } = await start();
  const call = (tls: Link['tls']) =>
    callUnary(clientAt({ address: server.address, token: undefined, tls }), 'QueryWriteStatus', {}, { signal: never });
  await expect(call({ source: clientOf(untrusted.file) })).rejects.toMatchObject({ code: 'PEER_UNAVAILABLE' });
  const misnamed: unknown = await call({ source: clientOf(trusted.file), serverName: 'other.example' }).catch((error: unknown) => error);
  expect(String(misnamed)).toContain("does not match certificate's altnames");
  await expect(call(undefined)).rejects.toMatchObject({ code: 'PEER_UNAVAILABLE' });
});

/** The serial number of what the server shows to a new connection. */
async function serialShown(address: string): Promise<string> {
  const [host, port] = address.split(':');
  const socket = connect({ host: host ?? '', port: Number(port), rejectUnauthorized: false, ALPNProtocols: ['h2'] });
  try {
    await new Promise((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject));
    return socket.getPeerCertificate().serialNumber;
  } finally {
    socket.destroy();
  }
}

test('files that change are used by new connections, and streams that are open go on', async () => {
  const { server, log } = await start();
  const tls = { source: clientOf(trusted.file, certificateBy(trusted, { agent: AGENT })) };
  const client = clientAt({ address: server.address, token: undefined, tls });
  const stop = new AbortController();
  let messages = 0;
  const streaming = (async () => {
    for await (const _ of callServerStream(client, 'Read', {}, { signal: stop.signal })) messages += 1;
  })();
  await until('the stream flows', () => messages > 0);
  const before = await serialShown(server.address);
  writeCertificate(dir.path, 'server', certificateBy(trusted, { hosts: ['127.0.0.1'] }));
  await until('new connections see the new certificate', async () => (await serialShown(server.address)) !== before);
  const then = messages;
  await until('the stream still flows', () => messages > then + 100);
  writeCertificate(dir.path, 'server', { cert: 'no certificate', key: 'no key' });
  await until('the log says what is wrong', () => log.entries.some(({ event }) => event === 'certificates-not-reread'));
  expect(await serialShown(server.address)).not.toBe(before);
  stop.abort();
  await expect(streaming).rejects.toMatchObject({ code: 'CANCELLED' });
});

test('an authority that takes the place of another is trusted beside it, and alone once the other is gone', async () => {
  const served = await start();
  const old = certificateBy(trusted, { agent: AGENT });
  const next = authorityIn(dir.path, 'next');
  const fresh = certificateBy(next, { agent: AGENT });
  const roots = join(dir.path, 'roots.pem');
  writeFileSync(roots, trusted.cert);
  const asked = async (own: KeyedCertificate) => {
    const tls = { source: clientOf(roots, own) };
    const client = clientAt({ address: served.server.address, token: undefined, tls });
    return callUnary(client, 'QueryWriteStatus', {}, { signal: never }).then(
      () => 'taken',
      (error: Error) => error.message,
    );
  };
  expect(await asked(old)).toBe('taken');
  expect(await asked(fresh)).toContain('no authority of a zone known here');
  writeFileSync(trusted.file, `${trusted.cert}${next.cert}`);
  await until('the new authority counts', async () => (await asked(fresh)) === 'taken');
  expect(await asked(old)).toBe('taken');
  writeFileSync(trusted.file, next.cert);
  await until('the old authority counts no more', async () => (await asked(old)) !== 'taken');
  expect(await asked(fresh)).toBe('taken');
});
