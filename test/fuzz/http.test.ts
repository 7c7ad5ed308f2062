import { createHash, randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { hashToken } from '../../base/auth.ts';
import { systemClock } from '../../base/clock.ts';
import { memoryLogger } from '../../base/log.ts';
import { parseCacheConfig } from '../../cache/config.ts';
import { startCache, type RunningCache } from '../../cache/start.ts';
import { tempDir, type TempDir } from '../fixtures/temp-dir.ts';

const caller = (name: string, project: string, scope: string) => {
  return { name, sha256: hashToken(name), kind: 'caller', role: 'submitter', project, scope, zoneCeiling: 'trusted' };
};
const TOKENS = [caller('main', 'web', 'main'), caller('pr', 'web', 'main/pr-7'), caller('other', 'shop', 'main')];
const KEY = 'a'.repeat(64);
/** What nobody but `main` and those below it may ever be given. */
const SECRET = randomBytes(64).toString('hex');
const SECRET_HASH = createHash('sha256').update(SECRET).digest('hex');
const log = memoryLogger();
let dir: TempDir;
let cache: RunningCache;

beforeAll(async () => {
  dir = await tempDir();
  await writeFile(join(dir.path, 'tokens.json'), JSON.stringify(TOKENS));
  const listens = ['--listen', '127.0.0.1:0', '--http-listen', '127.0.0.1:0', '--http-body-bytes', '100000'];
  const argv = [...listens, '--dir', join(dir.path, 'blobs'), '--tokens-file', join(dir.path, 'tokens.json')];
  cache = await startCache(parseCacheConfig({}, argv), { log, clock: systemClock });
  for (const path of [
    `/v8/artifacts/${KEY}`,
    `/v1/cache/${KEY}`,
    `/gradle/${KEY}`,
    `/ccache/${KEY}`,
    `/ac/${KEY}`,
    `/cas/${SECRET_HASH}`,
  ]) {
    const { status, text } = await ask({ method: 'PUT', path, token: 'main', headers: {}, body: SECRET });
    if (status >= 300) throw new Error(`${path}: ${status} ${text}`);
  }
});
afterAll(async () => {
  await cache[Symbol.asyncDispose]();
  await dir[Symbol.asyncDispose]();
});

type Ask = {
  readonly method: string;
  readonly path: string;
  readonly token: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array;
};

/** By the host's own client, which sends paths as they are. Status 0: the connection was closed without an answer. */
async function ask({ method, path, token, headers, body }: Ask): Promise<{ readonly status: number; readonly text: string }> {
  const [host, port] = String(cache.httpAddress).split(':');
  return new Promise((resolve) => {
    const authorization = `Bearer ${token}`;
    const request = httpRequest({ host, port, method, path, headers: { authorization, ...headers }, agent: false }, (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      const end = () => resolve({ status: response.statusCode ?? 0, text: Buffer.concat(parts).toString('latin1') });
      response.on('end', end).on('error', end);
    });
    request.on('error', () => resolve({ status: 0, text: '' }));
    request.end(body);
  });
}

const segment = fc.constantFrom(
  ...['web', 'shop', 'main', 'pr-7', '..', '.', '', '%2e%2e', '%2F', '%2fweb%2fmain', '%00', '%0a', '%', '%ff', 'ac', 'cas', 'ccache'],
  ...['v8', 'v1', 'artifacts', 'cache', 'gradle', KEY, SECRET_HASH, 'status', 'events', '?x=1', '*', '\\', 'aa', '__proto__'],
);
const path = fc.oneof(
  fc.array(segment, { maxLength: 7 }).map((parts) => `/${parts.join('/')}`),
  fc
    .tuple(
      fc.array(segment, { maxLength: 3 }),
      fc.constantFrom(`v8/artifacts/${KEY}`, `v1/cache/${KEY}`, `cas/${SECRET_HASH}`, `ac/${KEY}`),
    )
    .map(([before, rest]) => `/${[...before, rest].join('/')}`),
  fc.webUrl().map((url) => url.replaceAll(/[^\x21-\x7e]/g, '')),
);
const header = fc.constantFrom<Readonly<Record<string, string>>>(
  {},
  { 'content-encoding': 'zstd', 'x-digest-sizebytes': '9007199254740991' },
  { 'content-encoding': 'zstd', 'x-digest-sizebytes': '-1' },
  { 'content-encoding': 'gzip' },
  { 'accept-encoding': 'zstd;q=0, zstd' },
  { 'content-length': '99999999999999999999' },
  { 'content-length': '200000' },
  { 'transfer-encoding': 'chunked' },
  { expect: '100-continue' },
  { 'x-artifact-tag': 'x'.repeat(601) },
  { 'x-artifact-duration': '\u00e9\u00ff' },
  { origin: 'http://example.com', host: 'example.com' },
  { range: 'bytes=-5' },
  { authorization: 'Basic Og==' },
  { authorization: `Basic ${Buffer.from(`x:${'y'.repeat(5_000)}`).toString('base64')}` },
  { upgrade: 'h2c', connection: 'upgrade' },
);
const method = fc.constantFrom('GET', 'HEAD', 'PUT', 'POST', 'DELETE', 'OPTIONS', 'PATCH', 'PROPFIND', 'TRACE');

test("no request is answered with a fault of the server, and none with what is another project's", async () => {
  const body = fc.oneof(fc.constant(''), fc.uint8Array({ maxLength: 200 }));
  const asked: fc.Arbitrary<Ask> = fc.record({ method, path, token: fc.constant('other'), headers: header, body });
  const law = fc.asyncProperty(asked, async (one) => {
    const { status, text } = await ask(one);
    expect(status < 500 || status === 501).toBe(true);
    expect(text).not.toContain(SECRET);
  });
  const boast = { 'content-encoding': 'zstd', 'x-digest-sizebytes': '9007199254740991' };
  const found: Ask = { method: 'PUT', path: `/cas/${SECRET_HASH}`, token: 'other', headers: boast, body: '' };
  await fc.assert(law, { numRuns: 300, examples: [[found]] });
  expect(log.entries.filter(({ event }) => event === 'http-request-failed')).toEqual([]);
});

test('no request of a scope changes what is read in the one above it', async () => {
  const law = fc.asyncProperty(
    fc.record({ method, path, token: fc.constant('pr'), headers: header, body: fc.constant('planted') }),
    async (one) => {
      await ask(one);
    },
  );
  await fc.assert(law, { numRuns: 200 });
  for (const kept of [
    `/v8/artifacts/${KEY}`,
    `/v1/cache/${KEY}`,
    `/gradle/${KEY}`,
    `/ccache/${KEY}`,
    `/ac/${KEY}`,
    `/cas/${SECRET_HASH}`,
  ]) {
    expect(await ask({ method: 'GET', path: kept, token: 'main', headers: {}, body: '' })).toEqual({ status: 200, text: SECRET });
  }
});

test('bytes that are no HTTP end their own connection only', async () => {
  const [host = '', port = '0'] = String(cache.httpAddress).split(':');
  const start = fc.constantFrom(
    '',
    'GET ',
    `PUT /ccache/${KEY} HTTP/1.1\r\n`,
    'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    `PUT /ac/${KEY} HTTP/1.1\r\nhost: x\r\n`,
  );
  const law = fc.asyncProperty(start, fc.uint8Array({ maxLength: 200 }), async (head, rest) => {
    await new Promise<void>((resolve) => {
      const socket = connect(Number(port), host, () => socket.end(Buffer.concat([Buffer.from(head), rest])));
      socket.on('error', () => {});
      socket.on('close', () => resolve());
      socket.resume();
    });
  });
  await fc.assert(law, { numRuns: 100 });
  expect((await ask({ method: 'GET', path: `/ccache/${KEY}`, token: 'main', headers: {}, body: '' })).status).toBe(200);
});
