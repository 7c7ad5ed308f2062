import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { loadProto } from '../../proto/load.ts';
import { READ_RESPONSE } from './byte-stream-service.ts';

test('a response of any length is read as what it was written from', () => {
  const { Read } = loadProto().google.bytestream.ByteStream.service;
  for (const length of [0, 1, 127, 128, 16_383, 16_384, 1024 * 1024, 2_097_152]) {
    const data = randomBytes(length);
    expect(Buffer.compare(Read.responseDeserialize(Buffer.concat(READ_RESPONSE.parts({ data }))).data, data)).toBe(0);
  }
});
