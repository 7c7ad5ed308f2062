import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import { isFault } from '../../base/fault.ts';
import { memoryLogger, silentLogger } from '../../base/log.ts';
import { prngFrom } from '../../base/prng.ts';
import { Secret } from '../../base/secret.ts';
import { expectFault } from '../../test/contract/blob-store.ts';
import { bodyOf, newKey, readObject } from '../../test/contract/object-store.ts';
import { startFakeS3, type FakeS3, type Misbehaviour } from '../../test/fixtures/fake-s3.ts';
import { freePorts } from '../../test/fixtures/ports.ts';
import { until } from '../../test/fixtures/until.ts';
import type { S3Config } from './s3-options.ts';
import { S3Http } from './s3-http.ts';
import { S3Session, S3_TUNING } from './s3-session.ts';
import { openS3Objects, type S3Objects, type S3ObjectsOptions } from './s3.ts';

const signal = new AbortController().signal;
const env = { log: silentLogger, clock: systemClock };
const MIB = 1024 * 1024;
const OVERWRITE = { ifAbsent: false };
const TUNING = {
  tries: 3,
  backoff: { initialMs: 2, maxMs: 10 },
  multipartBytes: 2 * MIB,
  partBytes: MIB,
  partsAtOnce: 2,
};

/** Where the endpoint goes silent; of its many tries one gets through a busy machine. */
const HASTY = { ...TUNING, answerMs: 300, stallMs: 300, tries: 20 };

let fake: FakeS3;
let store: S3Objects;
let hasty: S3Objects;

const openAt = (config: S3Config, more: Partial<S3ObjectsOptions> = {}) => openS3Objects({ config, env, tuning: TUNING, ...more }, signal);

beforeAll(async () => {
  fake = await startFakeS3();
  store = await openAt(fake.config);
  hasty = await openAt(fake.config, { tuning: HASTY });
});
afterEach(() => {
  fake.decide = () => undefined;
});
afterAll(async () => {
  await store[Symbol.asyncDispose]();
  await hasty[Symbol.asyncDispose]();
  await fake[Symbol.asyncDispose]();
});

/** From now on the first `times` requests that `is` is true of go wrong. */
function misbehave(fault: Misbehaviour, times = Number.POSITIVE_INFINITY, is: (method: string) => boolean = () => true): void {
  let left = times;
  fake.decide = ({ method }) => {
    if (!is(method) || left === 0) return undefined;
    left -= 1;
    return fault;
  };
}

const slowDown: Misbehaviour = { kind: 'refuse', status: 503, code: 'SlowDown', message: 'Please reduce your request rate.' };

const CALLS: readonly { readonly name: string; readonly call: (store: S3Objects, key: string) => Promise<unknown> }[] = [
  { name: 'put', call: (store, key) => store.put(key, Buffer.from('new'), OVERWRITE, signal) },
  { name: 'put of a stream', call: (store, key) => store.put(key, bodyOf(Buffer.from('new'), 1), OVERWRITE, signal) },
  { name: 'put in parts', call: (store, key) => store.put(key, bodyOf(new Uint8Array(2 * MIB + 1), 99_999), OVERWRITE, signal) },
  { name: 'get', call: (store, key) => readObject(store, key) },
  { name: 'get of a part', call: (store, key) => readObject(store, key, { offset: 1, length: 2 }) },
  { name: 'head', call: (store, key) => store.head(key, signal) },
  { name: 'list', call: async (store, key) => void (await store.list(key, {}, signal)[Symbol.asyncIterator]().next()) },
  { name: 'delete', call: (store, key) => store.delete(key, signal) },
];

const PASSING: readonly (readonly [string, Misbehaviour])[] = [
  ['asks to slow down', slowDown],
  ['breaks down inside', { kind: 'refuse', status: 500, code: 'InternalError' }],
  ['is refused by something in front of it', { kind: 'refuse', status: 502, code: 'BadGateway' }],
  ['closes the connection', { kind: 'drop' }],
  ['closes the connection after it did what it was asked', { kind: 'do-and-drop' }],
  ['does not answer', { kind: 'hang' }],
];

describe.for(CALLS)('$name', ({ call }) => {
  test.for(PASSING)('is tried again when the endpoint %s', async ([, fault]) => {
    const key = newKey();
    await store.put(key, Buffer.from('there'), OVERWRITE, signal);
    misbehave(fault, 1);
    const used = fault.kind === 'hang' ? hasty : store;
    const before = used.counts.retries;
    await call(used, key);
    expect(used.counts.retries).toBeGreaterThan(before);
  });

  test('fails as unavailable, with the words of the endpoint, when it goes on', async () => {
    const key = newKey();
    await store.put(key, Buffer.from('there'), OVERWRITE, signal);
    misbehave(slowDown);
    const before = fake.requests.length;
    // The answer to a HEAD has no words.
    await expect(call(store, key)).rejects.toThrow(/reduce your request rate. \(SlowDown, status 503\)|status 503/);
    await expectFault('STORE_UNAVAILABLE', call(store, key));
    expect(fake.requests.length - before).toBeLessThanOrEqual(2 * TUNING.tries);
  });
});

test('every call ends at once when its caller gives up', async () => {
  const key = newKey();
  await using own = await openAt(fake.config, { tuning: { ...TUNING, answerMs: 600_000 } });
  const giveUp = new AbortController();
  misbehave({ kind: 'hang' });
  const work = Promise.allSettled([
    own.put(key, Buffer.from('x'), OVERWRITE, giveUp.signal),
    own.put(key, new Uint8Array(2 * MIB + 1), OVERWRITE, giveUp.signal),
    readObject(own, key, undefined, giveUp.signal),
    own.head(key, giveUp.signal),
    own.list(key, {}, giveUp.signal)[Symbol.asyncIterator]().next(),
    own.delete(key, giveUp.signal),
  ]);
  giveUp.abort(new Error('enough'));
  for (const end of await work) expect(end).toMatchObject({ reason: { code: 'CANCELLED' } });
});

describe('a body that does not come as it should', () => {
  const content = randomBytes(300_000);
  const key = newKey();
  beforeAll(() => store.put(key, content, OVERWRITE, signal));

  const BROKEN: readonly (readonly [string, Misbehaviour])[] = [
    ['stalls in the middle', { kind: 'stall', afterBytes: 70_000 }],
    ['stalls before its first byte', { kind: 'stall', afterBytes: 0 }],
    ['breaks off', { kind: 'cut', afterBytes: 200_000 }],
    ['is shorter than announced', { kind: 'wrong-length', by: 17 }],
  ];
  test.for(BROKEN)('throws where it %s, and is never a short end', async ([, fault]) => {
    misbehave(fault);
    await expectFault('STORE_UNAVAILABLE', readObject(hasty, key));
    await expectFault('STORE_UNAVAILABLE', readObject(hasty, key, { offset: 10, length: 250_000 }));
  });

  const OTHER: readonly (readonly [string, Misbehaviour])[] = [
    ['announced shorter than asked for', { kind: 'wrong-length', by: -17 }],
    ['truncated by something on the way', { kind: 'truncate', bytes: 17 }],
    ['all of the object', { kind: 'ignore-range' }],
  ];
  test.for(OTHER)('throws where a part comes that is %s', async ([, fault]) => {
    misbehave(fault);
    await expectFault('STORE_UNAVAILABLE', readObject(store, key, { offset: 10, length: 250_000 }));
    await expectFault('STORE_UNAVAILABLE', readObject(store, key, { offset: 10 }));
  });

  test('comes as it is where a byte of it is another: whoever reads checks', async () => {
    misbehave({ kind: 'corrupt', offset: 5 });
    const read = await readObject(store, key);
    expect(read.byteLength).toBe(content.byteLength);
    expect(Buffer.compare(read, content)).not.toBe(0);
  });

  test('is unknown where the object goes between a look and the reading', async () => {
    expect(await store.head(key, signal)).toBeDefined();
    misbehave({ kind: 'refuse', status: 404, code: 'NoSuchKey' }, 1);
    await expectFault('OBJECT_UNKNOWN', readObject(store, key));
  });

  test('is not unknown because something in front of the endpoint says so', async () => {
    const web = createServer((_, response) => void response.writeHead(404).end('<html>no such page</html>'));
    await new Promise<void>((resolve) => web.listen(0, '127.0.0.1', resolve));
    const address = web.address();
    const port = typeof address === 'object' ? address?.port : 0;
    const endpoint = `http://127.0.0.1:${port}`;
    const session = await S3Session.open({ ...fake.config, endpoint }, { ...S3_TUNING, ...TUNING }, env, prngFrom(1));
    const http = new S3Http(session);
    await expectFault('STORE_UNAVAILABLE', http.get('a', undefined, signal).next());
    await http.close();
    session.close();
    web.close();
  });

  test('has all the time that its reader takes', async () => {
    let length = 0;
    const big = newKey();
    await store.put(big, new Uint8Array(2 * MIB), OVERWRITE, signal);
    for await (const chunk of hasty.get(big, undefined, signal)) {
      // Longer than the endpoint may be silent.
      if (length === 0) await new Promise((resolve) => setTimeout(resolve, 1.5 * HASTY.stallMs));
      length += chunk.byteLength;
    }
    expect(length).toBe(2 * MIB);
  });
});

describe('a put whose answer is lost', () => {
  test('on condition says that the object is there: it may be its own', async () => {
    const key = newKey();
    misbehave({ kind: 'do-and-drop' }, 1, (method) => method === 'PUT');
    await expectFault('OBJECT_EXISTS', store.put(key, Buffer.from('mine'), { ifAbsent: true }, signal));
    expect((await readObject(store, key)).toString()).toBe('mine');
  });

  test.for([true, false])('of many parts does the same (on condition: %s)', async (ifAbsent) => {
    const key = newKey();
    fake.decide = ({ method, query }) => {
      if (method !== 'POST' || query.has('uploads')) return undefined;
      fake.decide = () => undefined;
      return { kind: 'do-and-drop' };
    };
    const put = store.put(key, new Uint8Array(2 * MIB + 5), { ifAbsent }, signal);
    await (ifAbsent ? expectFault('OBJECT_EXISTS', put) : put);
    expect((await store.head(key, signal))?.sizeBytes).toBe(2 * MIB + 5);
  });
});

describe('an object of many parts', () => {
  const size = 5 * MIB + 5;

  test('throws its parts away where one cannot be put, or its body breaks', async () => {
    await using other = await startFakeS3();
    await using own = await openAt(other.config);
    const key = newKey();
    other.decide = ({ query }) => (query.get('partNumber') === '3' ? slowDown : undefined);
    await expectFault('STORE_UNAVAILABLE', own.put(key, bodyOf(new Uint8Array(size), 100_000), OVERWRITE, signal));
    other.decide = () => undefined;
    const broken = {
      lengthBytes: size,
      async *open() {
        yield new Uint8Array(3 * MIB);
        throw new Error('the source broke');
      },
    };
    await expect(own.put(key, broken, OVERWRITE, signal)).rejects.toThrow('the source broke');
    expect(other.uploads.size).toBe(0);
    expect(await own.head(key, signal)).toBeUndefined();
  });

  test('is put in the order of its parts, whatever order they arrive in', async () => {
    const key = newKey();
    const content = randomBytes(size);
    const held = new Set<string>();
    fake.decide = ({ query }) => {
      const part = query.get('partNumber');
      if (part === undefined || Number(part) % 2 === 0 || held.has(part)) return undefined;
      held.add(part);
      return slowDown;
    };
    await store.put(key, bodyOf(content, 70_001), OVERWRITE, signal);
    expect(Buffer.compare(await readObject(store, key), content)).toBe(0);
  });

  test('is not put where one has come into being meanwhile, although the endpoint ignores conditions at the end', async () => {
    await using other = await startFakeS3({ conditionsOfParts: 'ignore' });
    await using own = await openAt(other.config);
    expect(own.traits.conditionalPut).toBe(true);
    const key = newKey();
    other.decide = ({ query }) => {
      if (query.get('partNumber') === '2') other.objects.set(key, { bytes: Buffer.from('first'), etag: '"x"', modifiedAt: 0 });
      return undefined;
    };
    await expectFault('OBJECT_EXISTS', own.put(key, new Uint8Array(size), { ifAbsent: true }, signal));
    expect((await readObject(own, key)).toString()).toBe('first');
    expect(other.uploads.size).toBe(0);
  });
});

describe('clocks', () => {
  test.for([3_600_000, -3_600_000])("the endpoint's may be %i ms ahead: then its time is taken", async (clockAheadMs) => {
    await using other = await startFakeS3({ clockAheadMs });
    const log = memoryLogger();
    await using own = await openAt(other.config, { env: { ...env, log } });
    await own.put('a', Buffer.from('x'), OVERWRITE, signal);
    expect((await own.head('a', signal))?.sizeBytes).toBe(1);
    expect((await fetch(own.presignGet('a', 60_000))).status).toBe(200);
    const warning = log.entries.find(({ event }) => event === 's3-clock-differs');
    expect(Math.abs(Number(warning?.fields['aheadMs']) - clockAheadMs)).toBeLessThan(60_000);
  });
});

describe('opening', () => {
  // Static credentials, as the fake's are.
  const wrongKey = (more: object) => ({ ...fake.config, credentials: { ...fake.config.credentials, ...more } }) as S3Config;
  const WRONG: readonly (readonly [string, () => S3Config, RegExp])[] = [
    ['no such bucket', () => ({ ...fake.config, bucket: 'another' }), /--s3-bucket: there is no such bucket/],
    ['an unknown key', () => wrongKey({ accessKeyId: 'unknown' }), /--s3-access-key-id/],
    ['a wrong secret', () => wrongKey({ secretAccessKey: new Secret('wrong') }), /SWITCHYARD_CACHE_S3_SECRET_ACCESS_KEY/],
    ['a token too many', () => wrongKey({ sessionToken: new Secret('old') }), /SWITCHYARD_CACHE_S3_SESSION_TOKEN/],
  ];
  test.for(WRONG)('with %s fails with the option and the fix', async ([, config, message]) => {
    const opened = openAt(config(), { whenAway: 'open' });
    await expect(opened).rejects.toThrow(message);
    await expectFault('CONFIG_INVALID', openAt(config()));
  });

  const REFUSED: readonly (readonly [string, string, Misbehaviour, RegExp])[] = [
    ['list', 'GET', { kind: 'refuse', status: 403, code: 'AccessDenied' }, /list, get, put and delete/],
    ['put', 'PUT', { kind: 'refuse', status: 403, code: 'AccessDenied' }, /list, get, put and delete/],
    ['delete', 'DELETE', { kind: 'refuse', status: 403, code: 'AccessDenied' }, /list, get, put and delete/],
    ['name its region', 'GET', { kind: 'refuse', status: 400, code: 'AuthorizationHeaderMalformed' }, /--s3-region/],
  ];
  test.for(REFUSED)('where the endpoint does not let us %s fails with the fix', async ([, method, fault, message]) => {
    misbehave(fault, undefined, (asked) => asked === method);
    await expect(openAt(fake.config)).rejects.toThrow(message);
  });

  test('on an endpoint that knows no parts of objects fails', async () => {
    misbehave({ kind: 'ignore-range' });
    await expect(openAt(fake.config)).rejects.toThrow(/does not give parts of objects/);
  });

  test('on something that is no S3 fails', async () => {
    const web = createServer((_, response) => void response.writeHead(404).end('<html>not here</html>'));
    await new Promise<void>((resolve) => web.listen(0, '127.0.0.1', resolve));
    const address = web.address();
    const port = typeof address === 'object' ? address?.port : 0;
    const error = await openAt({ ...fake.config, endpoint: `http://127.0.0.1:${port}` }).catch((reason: unknown) => reason);
    web.close();
    expect(isFault(error, 'CONFIG_INVALID')).toBe(true);
  });

  test('leaves nothing behind in the bucket', async () => {
    await using other = await startFakeS3();
    await using _ = await openAt(other.config);
    expect(other.objects.size).toBe(0);
  });

  test("finds credentials in AWS's variables, and says where it looked when there are none", async () => {
    const names = [
      'AWS_ACCESS_KEY_ID',
      'AWS_SECRET_ACCESS_KEY',
      'AWS_SHARED_CREDENTIALS_FILE',
      'AWS_CONFIG_FILE',
      'AWS_EC2_METADATA_DISABLED',
    ];
    const before = names.map((name) => [name, process.env[name]] as const);
    try {
      const { accessKeyId, secretAccessKey } = fake.traits.keys;
      const values = [accessKeyId, secretAccessKey, '/nonexistent/a', '/nonexistent/b', 'true'];
      for (const [index, name] of names.entries()) process.env[name] = values[index];
      const config: S3Config = { ...fake.config, credentials: { kind: 'chain' } };
      await using own = await openAt(config);
      await own.put('from-variables', Buffer.from('x'), OVERWRITE, signal);
      expect((await fetch(own.presignGet('from-variables', 60_000))).status).toBe(200);
      for (const name of names.slice(0, 2)) delete process.env[name];
      await expect(openAt(config)).rejects.toThrow(/--s3-access-key-id is not given, and no credentials were found/);
    } finally {
      for (const [name, value] of before) {
        if (value === undefined) delete process.env[name];
        else process.env[name] = value;
      }
    }
  });

  test('waits only so long for an endpoint that does not answer, where it may be away', async () => {
    misbehave({ kind: 'hang' });
    await using own = await openAt(fake.config, { whenAway: 'open', tuning: { ...TUNING, answerMs: 600_000, awayMs: 200 } });
    expect(own.traits.conditionalPut).toBe(false);
    await expect(openS3Objects({ config: fake.config, env, whenAway: 'open' }, AbortSignal.abort())).rejects.toThrow(/gave up/);
  });

  test('is refused while the endpoint is away, unless it may be: then it is looked at again', async () => {
    const [port = 0] = await freePorts(1);
    const config = { ...fake.config, endpoint: `http://127.0.0.1:${port}` };
    await expectFault('STORE_UNAVAILABLE', openAt(config));
    misbehave({ kind: 'drop' });
    await using own = await openAt(fake.config, { whenAway: 'open' });
    expect(own.traits.conditionalPut).toBe(false);
    await expectFault('STORE_UNAVAILABLE', own.put('a', Buffer.from('x'), OVERWRITE, signal));
    fake.decide = () => undefined;
    await until('conditions are known', () => own.traits.conditionalPut);
  });
});
