import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { loadProto } from '../../proto/load.ts';
import { serializeRead } from './byte-stream-service.ts';

test('a response of any length is read as what it was written from', () => {
  const { Read } = loadProto().google.bytestream.ByteStream.service;
  for (const length of [0, 1, 127, 128, 16_383, 16_384, 1024 * 1024, 2_097_152]) {
    const data = randomBytes(length);
    const message = serializeRead({ data });
    const frame = Buffer.alloc(message.byteLength + 5);
    message.copy(frame, 5);
    expect(Buffer.compare(Read.responseDeserialize(frame.subarray(5)).data, data)).toBe(0);
  }
});
