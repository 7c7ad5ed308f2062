import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isFault } from '../../base/fault.ts';
import { digestOf, hashOf } from '../digest.ts';
import { isInstanceName, parseResourceName, readName, writeName } from './resource-name.ts';

const digest = digestOf(Buffer.from('blob'));
const hash = hashOf(digest);
const instance = fc.array(fc.stringMatching(/^[a-z0-9.-]{1,8}$/), { maxLength: 3 }).map((parts) => parts.join('/'));

describe('resource names', () => {
  test('are read as they were written', () => {
    fc.assert(
      fc.property(instance.filter(isInstanceName), fc.uint8Array(), fc.uuid(), (name, bytes, uuid) => {
        const of = digestOf(bytes);
        expect(parseResourceName(readName(name, of), 'read')).toEqual({
          instance: name,
          digest: of,
          encoding: 'identity',
          uuid: undefined,
        });
        expect(parseResourceName(writeName(name, of, uuid), 'write')).toEqual({ instance: name, digest: of, encoding: 'identity', uuid });
      }),
    );
  });

  test('are taken apart or refused, whatever they are, and what is taken is written and read as the same', () => {
    const words = [
      'blobs',
      'uploads',
      'compressed-blobs',
      'zstd',
      'sha256',
      'blake3',
      'operations',
      hash,
      hash.toUpperCase(),
      '4',
      '-1',
      '04',
    ];
    const part = fc.oneof(fc.constantFrom(...words, '', '9'.repeat(17), '..', '%2F', '\0', 'web', 'main'), fc.string({ maxLength: 8 }));
    fc.assert(
      fc.property(fc.array(part, { maxLength: 9 }), fc.constantFrom('read', 'write'), (parts, purpose) => {
        try {
          const { instance: name, digest: of, encoding, uuid = '' } = parseResourceName(parts.join('/'), purpose);
          const plain = purpose === 'read' ? readName(name, of) : writeName(name, of, uuid);
          const again = encoding === 'identity' ? plain : plain.replace(/blobs\/([0-9a-f]{64}\/\d+)$/, 'compressed-blobs/zstd/$1');
          expect(isInstanceName(name)).toBe(true);
          expect(parseResourceName(again, purpose)).toMatchObject({ instance: name, digest: of, encoding });
        } catch (error) {
          if (!isFault(error, 'BAD_REQUEST') && !isFault(error, 'UNIMPLEMENTED')) throw error;
        }
      }),
      { numRuns: 2_000 },
    );
  });

  test.for([
    [`blobs/${hash}/4`, 'read', '', 'identity'],
    [`/blobs/${hash}/4`, 'read', '', 'identity'],
    [`a//b/blobs/${hash}/4`, 'read', 'a/b', 'identity'],
    [`a/blobs/sha256/${hash}/4`, 'read', 'a', 'identity'],
    [`a/compressed-blobs/zstd/${hash}/4`, 'read', 'a', 'zstd'],
    [`a/uploads/u/blobs/${hash}/4/some/path`, 'write', 'a', 'identity'],
    [`uploads/blobs/compressed-blobs/zstd/${hash}/4`, 'write', '', 'zstd'],
  ] as const)('%s is a name for %s', ([name, purpose, expected, encoding]) => {
    expect(parseResourceName(name, purpose)).toMatchObject({ instance: expected, encoding, digest });
  });

  test.for([
    ['', 'read', 'BAD_REQUEST'],
    ['a/b/c', 'read', 'BAD_REQUEST'],
    [`a/blobs/${hash}`, 'read', 'BAD_REQUEST'],
    [`a/blobs/${hash}/04`, 'read', 'BAD_REQUEST'],
    [`a/blobs/${hash}/-4`, 'read', 'BAD_REQUEST'],
    [`a/blobs/${hash}/0`, 'read', 'BAD_REQUEST'],
    [`a/blobs/${hash.toUpperCase()}/4`, 'read', 'BAD_REQUEST'],
    [`a/blobs/${hash}/4/more`, 'read', 'BAD_REQUEST'],
    [`a/blobs/${hash}/99999999999999999999`, 'read', 'BAD_REQUEST'],
    [`a/blobs/${hash}/4`, 'write', 'BAD_REQUEST'],
    [`a/uploads/blobs/${hash}/4`, 'write', 'BAD_REQUEST'],
    [`a/blobs/blake3/${hash}/4`, 'read', 'UNIMPLEMENTED'],
    [`a/compressed-blobs/brotli/${hash}/4`, 'read', 'UNIMPLEMENTED'],
  ] as const)('%s is no name for %s', ([name, purpose, code]) => {
    expect(() => parseResourceName(name, purpose)).toThrow(expect.objectContaining({ code }));
  });
});
