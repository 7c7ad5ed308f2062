import { hash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { Presigner, canonicalRequest, encodePath, signatureOf, signingKeyOf, type SignedRequest } from './sigv4.ts';

const NOTHING = hash('sha256', '');

/** Published with the description of Signature Version 4: its test suite of 2015, and the examples for S3 of 2013. */
const SUITE = {
  secret: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY',
  scope: { amzDate: '20150830T123600Z', region: 'us-east-1', service: 'service' },
  host: ['host', 'example.amazonaws.com'],
  date: ['x-amz-date', '20150830T123600Z'],
} as const;
const S3 = {
  keys: { accessKeyId: 'AKIAIOSFODNN7EXAMPLE', secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY', sessionToken: undefined },
  scope: { amzDate: '20130524T000000Z', region: 'us-east-1', service: 's3' },
  host: ['host', 'examplebucket.s3.amazonaws.com'],
  date: ['x-amz-date', '20130524T000000Z'],
} as const;

type Vector = { readonly name: string; readonly request: SignedRequest; readonly signature: string };

const plain = { method: 'GET', path: '/', query: [], headers: [SUITE.host, SUITE.date], payloadHash: NOTHING } as const;

const SUITE_VECTORS: readonly Vector[] = [
  { name: 'get-vanilla', request: plain, signature: '5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31' },
  {
    name: 'get-vanilla-query-order-key-case',
    request: {
      ...plain,
      query: [
        ['Param2', 'value2'],
        ['Param1', 'value1'],
      ],
    },
    signature: 'b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500',
  },
  {
    name: 'post-vanilla',
    request: { ...plain, method: 'POST' },
    signature: '5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b',
  },
  {
    name: 'get-utf8',
    request: { ...plain, path: encodePath('/ሴ') },
    signature: '8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85',
  },
];

const S3_VECTORS: readonly Vector[] = [
  {
    name: 'GET of a part of an object',
    request: {
      method: 'GET',
      path: '/test.txt',
      query: [],
      headers: [S3.host, ['range', 'bytes=0-9'], ['x-amz-content-sha256', NOTHING], S3.date],
      payloadHash: NOTHING,
    },
    signature: 'f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41',
  },
  {
    name: 'PUT of an object whose name needs encoding',
    request: {
      method: 'PUT',
      path: encodePath('/test$file.text'),
      query: [],
      headers: [
        ['date', 'Fri, 24 May 2013 00:00:00 GMT'],
        S3.host,
        ['x-amz-content-sha256', '44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072'],
        S3.date,
        ['x-amz-storage-class', 'REDUCED_REDUNDANCY'],
      ],
      payloadHash: hash('sha256', 'Welcome to Amazon S3.'),
    },
    signature: '98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd',
  },
  {
    name: 'GET of a parameter without a value',
    request: {
      method: 'GET',
      path: '/',
      query: [['lifecycle', '']],
      headers: [S3.host, ['x-amz-content-sha256', NOTHING], S3.date],
      payloadHash: NOTHING,
    },
    signature: 'fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543',
  },
  {
    name: 'GET of a list',
    request: {
      method: 'GET',
      path: '/',
      query: [
        ['prefix', 'J'],
        ['max-keys', '2'],
      ],
      headers: [S3.host, ['x-amz-content-sha256', NOTHING], S3.date],
      payloadHash: NOTHING,
    },
    signature: '34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7',
  },
];

describe('the published signatures come out', () => {
  test.for(SUITE_VECTORS)('$name', ({ request, signature }) => {
    expect(signatureOf(request, SUITE.scope, signingKeyOf(SUITE.secret, SUITE.scope))).toBe(signature);
  });

  test.for(S3_VECTORS)('$name', ({ request, signature }) => {
    expect(signatureOf(request, S3.scope, signingKeyOf(S3.keys.secretAccessKey, S3.scope))).toBe(signature);
  });

  test('a URL of S3 that reads an object for a day', () => {
    const request = { method: 'GET', path: '/test.txt', host: S3.host[1] };
    expect(new Presigner('us-east-1').presign(request, S3.keys, Date.UTC(2013, 4, 24), 86_400)).toBe(
      '/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request' +
        '&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host' +
        '&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404',
    );
  });
});

test('spaces around and within values of headers count once, and none at the ends', () => {
  const request = { ...plain, headers: [SUITE.host, ['my-header1', '  a   b   c  ']] } as const;
  expect(canonicalRequest(request)).toContain('\nmy-header1:a b c\n');
});

test('another second, day, key or token gives another URL, and the same the same', () => {
  const presigner = new Presigner('us-east-1');
  const request = { method: 'GET', path: '/k', host: 'h' };
  const at = Date.UTC(2020, 0, 1);
  const url = (time: number, sessionToken?: string) => presigner.presign(request, { ...S3.keys, sessionToken }, time, 60);
  const urls = [at, at + 1_000, at + 86_400_000].map((time) => url(time));
  expect(new Set([...urls, url(at, 'token/+')]).size).toBe(4);
  expect(url(at + 999)).toBe(urls[0]);
  expect(url(at, 'token/+')).toContain('X-Amz-Security-Token=token%2F%2B');
});
