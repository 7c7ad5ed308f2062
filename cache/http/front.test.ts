import { createHash, randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { hashToken } from '../../base/auth.ts';
import { systemClock } from '../../base/clock.ts';
import { memoryLogger } from '../../base/log.ts';
import { encodeStepResult } from '../action/action-result.ts';
import { NO_USAGE } from '../action/result.ts';
import { parseCacheConfig } from '../config.ts';
import { digestFrom } from '../digest.ts';
import { startCache, type RunningCache } from '../start.ts';
import { tempDir, type TempDir } from '../../test/fixtures/temp-dir.ts';
import { until } from '../../test/fixtures/until.ts';

const caller = (name: string, role: string, scope: string, project = 'web') => ({
  name,
  sha256: hashToken(name),
  kind: 'caller',
  role,
  project,
  scope,
  zoneCeiling: 'trusted',
});
const TOKENS = [
  caller('main', 'submitter', 'main'),
  caller('branch', 'submitter', 'main/pr-7'),
  caller('reader', 'viewer', 'main'),
  caller('other', 'submitter', 'main', 'shop'),
  { name: 'svc', sha256: hashToken('svc'), kind: 'service' },
];
const BODY_BYTES_MAX = 4 * 1024 * 1024;

let dir: TempDir;
let cache: RunningCache;
const log = memoryLogger();

beforeAll(async () => {
  dir = await tempDir();
  await writeFile(join(dir.path, 'tokens.json'), JSON.stringify(TOKENS));
  const listens = ['--listen', '127.0.0.1:0', '--http-listen', '127.0.0.1:0', '--http-body-bytes', String(BODY_BYTES_MAX)];
  const argv = [...listens, '--dir', join(dir.path, 'blobs'), '--tokens-file', join(dir.path, 'tokens.json')];
  cache = await startCache(parseCacheConfig({}, argv), { log, clock: systemClock });
});
afterAll(async () => {
  await cache[Symbol.asyncDispose]();
  await dir[Symbol.asyncDispose]();
});

const ask = (token: string, method: string, path: string, body?: Uint8Array | string, headers: Record<string, string> = {}) =>
  fetch(`http://${cache.httpAddress}${path}`, {
    method,
    headers: { authorization: `Bearer ${token}`, ...headers },
    ...(body === undefined ? {} : { body: Buffer.from(body) }),
  });
const statusOf = async (...given: Parameters<typeof ask>) => {
  const answer = await ask(...given);
  await answer.arrayBuffer();
  return answer.status;
};
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
let fresh = 0;
const newKey = () =>
  createHash('md5')
    .update(`key ${(fresh += 1)}`)
    .digest('hex');

const KEYED = [
  { name: 'Turborepo', path: '/v8/artifacts/', stored: 202, again: 202, readerPut: 403 },
  { name: 'Nx', path: '/v1/cache/', stored: 200, again: 409, readerPut: 403 },
  { name: 'Gradle', path: '/gradle/', stored: 200, again: 200, readerPut: 413 },
  { name: 'ccache', path: '/ccache/', stored: 200, again: 200, readerPut: 403 },
] as const;

describe.for(KEYED)('$name', ({ path, stored, again, readerPut }) => {
  test('gives back the bytes that were put, of any size, with their length', async () => {
    for (const bytes of [Buffer.alloc(0), Buffer.from('small'), randomBytes(3 * 1024 * 1024)]) {
      const url = path + newKey();
      expect(await statusOf('main', 'GET', url)).toBe(404);
      expect(await statusOf('main', 'PUT', url, bytes)).toBe(stored);
      const found = await ask('main', 'GET', url);
      expect([found.status, found.headers.get('content-length')]).toEqual([200, String(bytes.byteLength)]);
      expect(Buffer.from(await found.arrayBuffer()).equals(bytes)).toBe(true);
      const head = await ask('main', 'HEAD', url);
      expect([head.status, head.headers.get('content-length')]).toEqual([200, String(bytes.byteLength)]);
    }
  });

  test('a second body for a key is answered as the client wants it', async () => {
    const url = path + newKey();
    await statusOf('main', 'PUT', url, 'first');
    expect(await statusOf('main', 'PUT', url, 'second')).toBe(again);
    expect(await (await ask('main', 'GET', url)).text()).toBe(again === 409 ? 'first' : 'second');
  });

  test('scopes below read, others do not, and nobody writes but into their own', async () => {
    const url = path + newKey();
    await statusOf('main', 'PUT', url, 'of main');
    expect(await (await ask('branch', 'GET', url)).text()).toBe('of main');
    expect(await (await ask('reader', 'GET', url)).text()).toBe('of main');
    expect(await statusOf('other', 'GET', url)).toBe(404);
    expect(await statusOf('branch', 'PUT', url, 'of the branch')).toBe(stored);
    expect(await (await ask('branch', 'GET', url)).text()).toBe('of the branch');
    expect(await (await ask('main', 'GET', url)).text()).toBe('of main');
    expect(await statusOf('reader', 'PUT', path + newKey(), 'x')).toBe(readerPut);
    expect(await (await ask('main', 'GET', `/web/main/pr-7${url}`)).text()).toBe('of the branch');
  });

  test('nobody gets in without a token of a caller', async () => {
    const url = path + newKey();
    const bare = await fetch(`http://${cache.httpAddress}${url}`);
    expect([bare.status, bare.headers.get('www-authenticate')]).toEqual([401, 'Basic realm="switchyard"']);
    expect(await statusOf('unknown', 'GET', url)).toBe(401);
    expect(await statusOf('svc', 'GET', url)).toBe(403);
    expect(await statusOf('main', 'GET', `/shop/main${url}`)).toBe(403);
    const basic = `Basic ${Buffer.from('anybody:main').toString('base64')}`;
    expect(await statusOf('', 'PUT', url, 'x', { authorization: basic })).toBe(stored);
    const userOnly = `Basic ${Buffer.from('main:').toString('base64')}`;
    expect(await statusOf('', 'GET', url, undefined, { authorization: userOnly })).toBe(200);
  });

  test('a body over the limit is refused before and while it comes', async () => {
    const tooMuch = path === '/v1/cache/' ? 403 : 413;
    expect(await statusOf('main', 'PUT', path + newKey(), Buffer.alloc(BODY_BYTES_MAX + 1))).toBe(tooMuch);
    expect(await chunked('PUT', path + newKey(), BODY_BYTES_MAX + 1)).toBe(tooMuch);
    expect(await chunked('PUT', path + newKey(), BODY_BYTES_MAX)).toBe(stored);
  });
});

/** A body of zeros without a Content-Length. */
async function chunked(method: string, path: string, bytes: number): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const [host, port] = (cache.httpAddress ?? '').split(':');
    const request = httpRequest({ host, port, path, method, headers: { authorization: 'Bearer main' } }, (response) => {
      response.resume();
      response.on('end', () => resolve(response.statusCode));
    });
    request.on('error', reject);
    for (let left = bytes; left > 0; left -= 65_536) request.write(Buffer.alloc(Math.min(left, 65_536)));
    request.end();
  });
}

test('Turborepo gets its headers back, its status and its preflight', async () => {
  const url = `/v8/artifacts/${newKey()}?slug=some-team&teamId=team_x`;
  const headers = { 'x-artifact-duration': '1234', 'x-artifact-tag': 'c2lnbmF0dXJl', 'x-artifact-sha': 'abc', 'x-other': 'no' };
  const put = await ask('main', 'PUT', url, 'body', headers);
  expect([put.status, await put.json()]).toEqual([202, { urls: [] }]);
  const got = (await ask('main', 'GET', url)).headers;
  expect([got.get('x-artifact-duration'), got.get('x-artifact-tag'), got.get('x-artifact-sha'), got.get('x-other')]).toEqual([
    '1234',
    'c2lnbmF0dXJl',
    'abc',
    null,
  ]);
  expect(await (await ask('main', 'GET', '/v8/artifacts/status')).json()).toEqual({ status: 'enabled' });
  expect(await statusOf('unknown', 'GET', '/v8/artifacts/status')).toBe(401);
  expect(await statusOf('main', 'POST', '/v8/artifacts/events', '[]')).toBe(200);
  const preflight = await fetch(`http://${cache.httpAddress}${url}`, { method: 'OPTIONS' });
  expect(preflight.headers.get('access-control-allow-headers')).toContain('Authorization');
  expect(preflight.headers.get('access-control-allow-origin')).toBe(null);
  const long = await ask('main', 'PUT', url, 'body', { 'x-artifact-tag': 'x'.repeat(601) });
  expect([long.status, await long.json()]).toMatchObject([400, { error: { code: 'bad_request' } }]);
});

test('ccache takes what it put away again, in its own scope only', async () => {
  const url = `/ccache/ab/${newKey()}`;
  await statusOf('main', 'PUT', url, 'x');
  expect(await statusOf('reader', 'DELETE', url)).toBe(403);
  expect(await statusOf('branch', 'DELETE', url)).toBe(404);
  expect(await statusOf('main', 'DELETE', url)).toBe(204);
  expect(await statusOf('main', 'GET', url)).toBe(404);
});

describe('Bazel', () => {
  const bytes = randomBytes(300_000);
  const hash = sha256(bytes);

  test('stores blobs under their hash and nothing else under it', async () => {
    expect(await statusOf('main', 'GET', `/cas/${hash}`)).toBe(404);
    expect(await statusOf('main', 'PUT', `/cas/${hash}`, 'other bytes')).toBe(400);
    expect(await statusOf('reader', 'PUT', `/cas/${hash}`, bytes)).toBe(403);
    expect(await statusOf('main', 'PUT', `/web/main/cas/${hash}`, bytes)).toBe(200);
    expect(await statusOf('main', 'PUT', `/cas/${hash}`, bytes)).toBe(200);
    expect(Buffer.from(await (await ask('reader', 'GET', `/cas/${hash}`)).arrayBuffer()).equals(bytes)).toBe(true);
    const head = await ask('main', 'HEAD', `/cas/${hash}`);
    expect([head.status, head.headers.get('content-length')]).toEqual([200, '300000']);
    expect(await statusOf('main', 'GET', `/cas/${sha256(Buffer.alloc(0))}`)).toBe(200);
    expect(await chunked('PUT', `/cas/${sha256(Buffer.alloc(100_000))}`, 100_000)).toBe(200);
    expect(await chunked('PUT', `/cas/${hash}`, 1_000)).toBe(400);
    expect(await statusOf('main', 'POST', `/cas/${hash}`)).toBe(405);
  });

  test('speaks zstd with those who ask for it', async () => {
    const plain = Buffer.from('compress me '.repeat(10_000));
    const at = `/cas/${sha256(plain)}`;
    const encoded = { 'content-encoding': 'zstd' };
    expect(await statusOf('main', 'PUT', at, zstdCompressSync(plain), encoded)).toBe(400);
    expect(await statusOf('main', 'PUT', at, zstdCompressSync(plain), { ...encoded, 'x-digest-sizebytes': String(plain.byteLength) })).toBe(
      200,
    );
    expect(await statusOf('main', 'PUT', at, 'x', { 'content-encoding': 'br' })).toBe(400);
    const boast = { ...encoded, 'x-digest-sizebytes': '9007199254740991' }; // no room is looked for
    expect(await statusOf('main', 'PUT', at, zstdCompressSync(plain), boast)).toBe(413);
    const { status, headers, body } = await rawGet(at, { 'accept-encoding': 'zstd' });
    expect([status, headers['content-encoding'], headers['x-digest-sizebytes']]).toEqual([200, 'zstd', String(plain.byteLength)]);
    expect(body.byteLength).toBeLessThan(plain.byteLength / 10);
    expect(zstdDecompressSync(body).equals(plain)).toBe(true);
    expect((await rawGet(at, { 'accept-encoding': 'gzip, zstd;q=0' })).headers['content-encoding']).toBeUndefined();
  });

  test('gives out a result only while all that it names can be asked for', async () => {
    const file = randomBytes(100);
    const digest = digestFrom(sha256(file), file.byteLength);
    expect(digest).toBeDefined();
    if (digest === undefined) return;
    const result = encodeStepResult({
      exitCode: 0,
      outputs: [{ kind: 'file', path: 'out', digest, executable: false }],
      log: undefined,
      usage: NO_USAGE,
      agent: 'a',
      startedAt: 0,
      endedAt: 0,
    });
    const at = `/ac/${newKey()}${newKey()}`;
    expect(await statusOf('main', 'PUT', at, result)).toBe(200);
    expect(await statusOf('main', 'GET', at)).toBe(404);
    expect(await statusOf('main', 'PUT', `/cas/${sha256(file)}`, file)).toBe(200);
    expect(Buffer.from(await (await ask('main', 'GET', at)).arrayBuffer()).equals(result)).toBe(true);
    expect(await statusOf('reader', 'PUT', at, result)).toBe(403);
  });

  test('keeps what is no result at the paths of results, as other tools put it there', async () => {
    const at = `/ac/${newKey()}${newKey()}`;
    expect(await statusOf('main', 'PUT', at, Buffer.from([0xff, 0xff, 0xff]))).toBe(200);
    expect((await (await ask('main', 'GET', at)).arrayBuffer()).byteLength).toBe(3);
  });
});

async function rawGet(path: string, headers: Record<string, string>) {
  return new Promise<{ status: number | undefined; headers: Record<string, unknown>; body: Buffer }>((resolve, reject) => {
    const [host, port] = (cache.httpAddress ?? '').split(':');
    const request = httpRequest({ host, port, path, headers: { authorization: 'Bearer main', ...headers } }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => resolve({ status: response.statusCode, headers: response.headers, body: Buffer.concat(chunks) }));
    });
    request.on('error', reject);
    request.end();
  });
}

test('who is refused is told so before the body is asked for, and who is not is asked', async () => {
  expect(await expecting('unknown')).toMatch(/^HTTP\/1\.1 401 /);
  expect(await expecting('main')).toMatch(/^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 202 /);
});

/** All that comes for a PUT that sends its body only once it is asked for it. */
async function expecting(token: string): Promise<string> {
  const [host = '', port] = (cache.httpAddress ?? '').split(':');
  const socket = connect(Number(port), host);
  const lines = [
    `PUT /v8/artifacts/${newKey()} HTTP/1.1`,
    `host: ${host}`,
    `authorization: Bearer ${token}`,
    'content-length: 4',
    'expect: 100-continue',
    'connection: close',
  ];
  socket.write(`${lines.join('\r\n')}\r\n\r\n`);
  let all = '';
  for await (const chunk of socket) {
    all += String(chunk);
    if (all === 'HTTP/1.1 100 Continue\r\n\r\n') socket.write('body');
  }
  return all;
}

test('an upload whose client goes away in its middle leaves nothing', async () => {
  const [host = '', port] = (cache.httpAddress ?? '').split(':');
  const url = `/v1/cache/${newKey()}`;
  const socket = connect(Number(port), host);
  socket.write(`PUT ${url} HTTP/1.1\r\nhost: ${host}\r\nauthorization: Bearer main\r\ncontent-length: 1000\r\n\r\nonly this`);
  await new Promise<void>((resolve) => void socket.once('connect', () => setImmediate(resolve)));
  socket.destroy();
  expect(await statusOf('main', 'GET', url)).toBe(404);
});

test('a tool on this host needs no token where that is allowed, and a page in a browser is no such tool', async () => {
  const listens = ['--listen', '127.0.0.1:0', '--http-listen', '127.0.0.1:0', '--allow-local'];
  await using own = await startCache(parseCacheConfig({}, [...listens, '--dir', join(dir.path, 'local')]), { log, clock: systemClock });
  const bare = (headers: Record<string, string>) =>
    new Promise<number | undefined>((resolve, reject) => {
      const [host, port] = (own.httpAddress ?? '').split(':');
      httpRequest({ host, port, path: '/v1/cache/1', headers }, (response) => resolve(response.resume().statusCode))
        .on('error', reject)
        .end();
    });
  expect(await bare({})).toBe(404);
  expect(await bare({ host: 'localhost:1' })).toBe(404);
  expect(await bare({ host: 'elsewhere.example' })).toBe(401);
  expect(await bare({ origin: 'https://elsewhere.example' })).toBe(401);
});

test('listening where others can connect needs tokens', async () => {
  const argv = ['--listen', '127.0.0.1:0', '--http-listen', '0.0.0.0:0', '--insecure', '--allow-local', '--dir', join(dir.path, 'open')];
  await expect(startCache(parseCacheConfig({}, argv), { log, clock: systemClock })).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    field: 'httpListen',
  });
});

test('the numbers count requests by protocol and by how they ended', async () => {
  const listens = ['--listen', '127.0.0.1:0', '--http-listen', '127.0.0.1:0', '--metrics-listen', '127.0.0.1:0'];
  const rights = ['--tokens-file', join(dir.path, 'tokens.json')];
  const config = parseCacheConfig({}, [...listens, ...rights, '--dir', join(dir.path, 'counted')]);
  await using own = await startCache(config, { log, clock: systemClock });
  const at = `http://${own.httpAddress}`;
  const as = (name: string) => ({ headers: { authorization: `Bearer ${name}` } });
  const statuses = [
    await fetch(`${at}/v1/cache/1`, as('main')),
    await fetch(`${at}/v1/cache/1`, { ...as('reader'), method: 'PUT', body: 'x' }),
    await fetch(`${at}/v1/cache/1`, as('unknown')),
    await fetch(`${at}/elsewhere`, as('main')),
  ].map(({ status }) => status);
  expect(statuses).toEqual([404, 403, 401, 404]);
  const count = async (outcome: string) => {
    const numbers = await (await fetch(`http://${own.metricsAddress}/metrics`)).text();
    return new RegExp(`^switchyard_data_requests_total\\{method="http-nx",outcome="${outcome}"\\} (\\d+)$`, 'm').exec(numbers)?.[1];
  };
  for (const outcome of ['ok', 'FORBIDDEN', 'UNAUTHENTICATED'])
    await until(`one is counted as ${outcome}`, async () => (await count(outcome)) === '1');
});

test('what is no path of a protocol says where to look', async () => {
  const answer = await ask('main', 'GET', '/');
  expect([answer.status, await answer.text()]).toEqual([404, expect.stringContaining('docs/http-caches.md')]);
  expect(await statusOf('main', 'GET', '/%E0%A4%A')).toBe(404);
});
