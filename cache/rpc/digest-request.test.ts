import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isFault } from '../../base/fault.ts';
import { digestFromProto, digestToProto } from '../../proto/convert.ts';
import { loadProto } from '../../proto/load.ts';
import { digestAt, digestFrom, digestOf, hashOf, sizeOf, type Digest } from '../digest.ts';
import { WireWriter } from '../wire/wire.ts';
import { BATCH_READ, FIND_MISSING, readDigestRequest, readResultRequest, type DigestMessage } from './digest-request.ts';

const v2 = loadProto().build.bazel.remote.execution.v2;

/** A hash, and a size that it may have. */
const digest = fc
  .tuple(fc.uint8Array({ maxLength: 8 }), fc.oneof(fc.nat(300), fc.nat({ max: Number.MAX_SAFE_INTEGER - 1 })))
  .map(([bytes, size]) => `${hashOf(digestOf(bytes))}-${bytes.byteLength === 0 ? 0 : size + 1}` as Digest);
const request = fc.record({
  digests: fc.array(digest, { maxLength: 40 }).map((digests) => digests.map(digestToProto)),
  instanceName: fc.constantFrom('', 'web', 'web/main/pr-7', 'wéb', 'w'.repeat(200)),
  digestFunction: fc.constantFrom('UNKNOWN' as const, 'SHA256' as const, 'BLAKE3' as const),
  acceptableCompressors: fc.array(fc.constantFrom('IDENTITY' as const, 'ZSTD' as const), { maxLength: 3 }),
});

const FORMS: readonly (readonly [DigestMessage, fc.Arbitrary<Buffer>])[] = [
  [FIND_MISSING, request.map(({ digests, ...rest }) => v2.FindMissingBlobsRequest.serialize({ ...rest, blobDigests: digests }))],
  [BATCH_READ, request.map((message) => v2.BatchReadBlobsRequest.serialize(message))],
];

/** All that can be known of a request: what it says, or how it is refused and when. */
function told(bytes: Buffer, message: DigestMessage) {
  try {
    const { digests, ...first } = readDigestRequest(bytes, message);
    try {
      return { ...first, digests: digests() };
    } catch (error) {
      return { ...first, refused: isFault(error) ? [error.code, error.message, error.field] : error };
    }
  } catch {
    return 'no such message';
  }
}

/** The same, read from its definition alone: no field has such a number, not in damaged bytes either. */
const toldByDefinition = (bytes: Buffer, message: DigestMessage) => told(bytes, { ...message, digests: -1, digestFunction: -1 });

describe.for(FORMS.map(([message, bytes]) => [message.name, message, bytes] as const))('a request with %s', ([, message, form]) => {
  test('says what the client wrote', () => {
    fc.assert(
      fc.property(form, (bytes) => {
        const { digests, ...rest } = readDigestRequest(bytes, message);
        const meant = message.anyForm(bytes);
        expect(rest.instanceName).toBe(meant.instanceName);
        expect(rest.count).toBe(meant.digests.length);
        expect(digests().map(digestToProto)).toEqual(meant.digests);
        expect(told(bytes, message)).toEqual(toldByDefinition(bytes, message));
      }),
    );
  });

  test('is read, or refused with the same words, as from its definition, whatever its bytes are', () => {
    const changed = fc
      .tuple(form, fc.array(fc.record({ at: fc.nat(300), byte: fc.nat(255) }), { minLength: 1, maxLength: 3 }), fc.nat(5))
      .map(([bytes, changes, cut]) => {
        const copy = Buffer.from(bytes.subarray(0, Math.max(0, bytes.byteLength - cut)));
        for (const { at, byte } of changes) if (copy.byteLength > 0) copy[at % copy.byteLength] = byte;
        return copy;
      });
    fc.assert(
      fc.property(
        fc.oneof(
          changed,
          fc.uint8Array({ maxLength: 80 }).map((bytes) => Buffer.from(bytes)),
        ),
        (bytes) => {
          expect(told(bytes, message)).toEqual(toldByDefinition(bytes, message));
        },
      ),
      { numRuns: 2_000 },
    );
  });
});

const [one, other] = [digestOf(Buffer.from('one')), digestOf(Buffer.from('other'))];
const hash = hashOf(one);
const messageOf = (write: (writer: WireWriter) => void): Buffer => Buffer.from(new WireWriter().message(2, write).finish());

test('digests in another form that means the same are taken: fields in another order, twice, or unknown', () => {
  const forms = [
    messageOf((message) => message.varint(2, sizeOf(one)).string(1, hash)),
    messageOf((message) => message.string(1, hashOf(other)).varint(2, sizeOf(other)).string(1, hash).varint(2, sizeOf(one))),
    messageOf((message) => message.string(1, hash).varint(2, sizeOf(one)).string(9, 'of a later version')),
  ];
  for (const bytes of forms) expect(readDigestRequest(bytes, FIND_MISSING).digests()).toEqual([one]);
});

test.for([
  ['a hash in capitals', (message: WireWriter) => message.string(1, hash.toUpperCase()).varint(2, 1)],
  ['a short hash', (message: WireWriter) => message.string(1, hash.slice(1)).varint(2, 1)],
  ['a hash that is no hex', (message: WireWriter) => message.string(1, `${hash.slice(1)}g`).varint(2, 1)],
  ['bytes that are no text', (message: WireWriter) => message.bytes(1, Buffer.alloc(64, 0xe1)).varint(2, 1)],
  ['a size below 0', (message: WireWriter) => message.string(1, hash).signed(2, -1)],
  ['no bytes with another hash than theirs', (message: WireWriter) => message.string(1, hash)],
  ['nothing', () => {}],
] as const)('%s is refused, by field, once the digests are asked for', ([, write]) => {
  const bytes = Buffer.concat([messageOf((message) => message.string(1, hashOf(other)).varint(2, sizeOf(other))), messageOf(write)]);
  const read = readDigestRequest(bytes, FIND_MISSING);
  expect(read.count).toBe(2);
  expect(() => read.digests()).toThrow(
    expect.objectContaining({ code: 'BAD_REQUEST', message: expect.stringContaining('blob_digests[1]') }),
  );
});

describe('a request for a result', () => {
  const wanted = fc.record({
    instanceName: fc.constantFrom('', 'web', 'web/main/pr-7', 'wéb', 'w'.repeat(200)),
    actionDigest: fc.option(digest.map(digestToProto), { freq: 10 }),
    digestFunction: fc.constantFrom('UNKNOWN' as const, 'SHA256' as const, 'BLAKE3' as const),
    inlineStdout: fc.boolean(),
    inlineStderr: fc.boolean(),
    inlineOutputFiles: fc.array(fc.constantFrom('a', 'out/b'), { maxLength: 2 }),
  });
  const wish = { inlineStdout: false, inlineStderr: false, inlineOutputFiles: [] as string[] };
  const form = fc
    .oneof(
      wanted,
      wanted.map((request) => ({ ...request, ...wish })),
    )
    .map((request) => v2.GetActionResultRequest.serialize(request));
  const changed = fc
    .tuple(form, fc.array(fc.record({ at: fc.nat(300), byte: fc.nat(255) }), { maxLength: 2 }), fc.nat(3), form)
    .map(([bytes, changes, cut, more]) => {
      const copy = Buffer.from(bytes.subarray(0, Math.max(0, bytes.byteLength - cut)));
      for (const { at, byte } of changes) if (copy.byteLength > 0) copy[at % copy.byteLength] = byte;
      return cut === 0 ? Buffer.concat([copy, more]) : copy; // fields that come twice
    });

  /** What is known of it, or how it is refused. */
  const toldBy = (read: () => { instanceName: string; digestFunction: string | number; inline: unknown; action: () => Digest }) => {
    try {
      const { action, ...first } = read();
      try {
        return { ...first, action: action() };
      } catch (error) {
        return { ...first, refused: isFault(error) ? [error.code, error.message, error.field] : error };
      }
    } catch {
      return 'no such message';
    }
  };
  const byDefinition = (bytes: Buffer) => {
    const { instanceName, digestFunction, actionDigest, ...rest } = v2.GetActionResultRequest.deserialize(bytes);
    const { inlineStdout, inlineStderr, inlineOutputFiles } = rest;
    const asks = inlineStdout || inlineStderr || inlineOutputFiles.length > 0;
    const inline = asks ? { inlineStdout, inlineStderr, inlineOutputFiles } : undefined;
    return { instanceName, digestFunction, inline, action: () => digestFromProto(actionDigest, 'action_digest') };
  };

  test.for([
    ['what clients write', form],
    ['anything', changed],
  ] as const)('says the same as from its definition, of %s', ([, bytes]) => {
    fc.assert(
      fc.property(bytes, (one) => {
        expect(toldBy(() => readResultRequest(one))).toEqual(toldBy(() => byDefinition(one)));
      }),
      { numRuns: 1_000 },
    );
  });
});

test('a digest is read from bytes as from text, whatever they are', () => {
  const codes = fc.oneof(fc.constantFrom(...Buffer.from('0123456789abcdef')), fc.nat({ max: 255 }));
  const good = fc.constantFrom(...Buffer.from('0123456789abcdef'));
  const hash = fc.oneof(fc.array(good, { minLength: 64, maxLength: 64 }), fc.array(codes, { minLength: 60, maxLength: 64 }));
  const sizes = fc.oneof(fc.nat(), fc.nat({ max: Number.MAX_SAFE_INTEGER }), fc.constantFrom(0, 9, 10, 2 ** 53, -1, 0.5, Number.NaN));
  fc.assert(
    fc.property(hash, sizes, fc.nat({ max: 5 }), (bytes, size, start) => {
      const text = Buffer.from(bytes).toString('latin1');
      const all = Buffer.concat([Buffer.alloc(start), Buffer.from(bytes)]);
      expect(digestAt(all, start, size)).toBe(digestFrom(text, size));
    }),
    { numRuns: 1_000 },
  );
  expect(digestAt(Buffer.from(hashOf(digestOf(Buffer.alloc(0)))), 0, 0)).toBe(digestOf(Buffer.alloc(0)));
});
