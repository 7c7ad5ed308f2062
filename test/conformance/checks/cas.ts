import { zstdCompressSync } from 'node:zlib';
import { holds, ok, refusedWith, same, type Area } from '../check.ts';
import { blobOf, ContentAddressableStorage, EMPTY, freshBlob, type Blob, type Session } from '../session.ts';

const { service } = ContentAddressableStorage;

const batchUpdate = async (
  session: Session,
  requests: readonly { readonly blob: Blob; readonly data?: Buffer; readonly zstd?: boolean }[],
) =>
  session.unary(service.BatchUpdateBlobs, {
    instanceName: session.endpoint.instance,
    requests: requests.map(({ blob, data, zstd }) => ({
      digest: blob.digest,
      data: data ?? blob.bytes,
      compressor: zstd === true ? ('ZSTD' as const) : ('IDENTITY' as const),
    })),
  });

const batchRead = async (session: Session, blobs: readonly Blob[]) =>
  session.unary(service.BatchReadBlobs, {
    instanceName: session.endpoint.instance,
    digests: blobs.map(({ digest }) => digest),
    acceptableCompressors: ['IDENTITY', 'ZSTD'],
  });

export const zstdOf = (session: Session) =>
  session.capabilities.cacheCapabilities?.supportedCompressors.includes('ZSTD') === true ? undefined : 'zstd is not advertised';

const findMissing: Area = {
  name: 'FindMissingBlobs',
  checks: [
    {
      id: 'missing-what-is-not-there',
      claim: 'What is not there is missing, and what is there is not',
      async run(session) {
        const [there, absent] = [await session.put(freshBlob(100)), freshBlob(100)];
        const missing = await session.missing([there, absent, absent, there]);
        // What was asked for twice may be named twice.
        holds(missing.length > 0 && missing.every((hash) => hash === absent.digest.hash), `the answer is ${missing.join(', ')}`);
      },
    },
    {
      id: 'empty-blob-is-there',
      claim: 'The empty blob is never missing, can be read, and can be stored',
      async run(session) {
        holds((await session.missing([EMPTY])).length === 0, 'it is missing');
        same(ok(await session.read(session.readName(EMPTY)), 'ByteStream.Read'), EMPTY.bytes, 'ByteStream.Read');
        const [read] = ok(await batchRead(session, [EMPTY]), 'BatchReadBlobs').responses;
        holds((read?.status?.code ?? 0) === 0, 'BatchReadBlobs does not have it');
        ok(await batchUpdate(session, [{ blob: EMPTY }]), 'BatchUpdateBlobs');
        const message = { resourceName: session.writeName(EMPTY), data: EMPTY.bytes, finishWrite: true };
        holds(ok(await session.write([message]), 'ByteStream.Write') === 0, 'committed_size is not 0');
      },
    },
    {
      id: 'malformed-digests',
      claim: 'Digests that no blob can have are refused, or missing',
      async run(session) {
        const { digest } = freshBlob(10);
        const bad = [
          { ...digest, hash: `A${digest.hash.slice(1)}` },
          { ...digest, hash: digest.hash.slice(1) },
          { ...digest, hash: `${digest.hash.slice(1)}g` },
          { ...digest, sizeBytes: '-1' },
        ];
        for (const one of bad) {
          const answer = await session.unary(service.FindMissingBlobs, { instanceName: session.endpoint.instance, blobDigests: [one] });
          if (answer.kind === 'ok') holds(answer.value.missingBlobDigests.length === 1, `${one.hash}/${one.sizeBytes} is said to be there`);
          else refusedWith(answer, ['INVALID_ARGUMENT'], `${one.hash}/${one.sizeBytes}`);
        }
      },
    },
    {
      id: 'many-digests',
      claim: 'As many digests as fit into a megabyte, which Bazel asks for at once, are answered, in a message below 4 MiB',
      async run(session) {
        const many = Array.from({ length: 13_500 }, (_, index) => blobOf(Buffer.from(`never stored ${index}`)));
        holds((await session.missing(many)).length === many.length, 'not all are missing');
      },
    },
  ],
};

const batches: Area = {
  name: 'BatchUpdateBlobs, BatchReadBlobs',
  checks: [
    {
      id: 'batch-round-trip',
      claim: 'What a batch stores another reads',
      async run(session) {
        const blobs = [freshBlob(1), freshBlob(1_000), freshBlob(100_000)];
        for (const { status } of ok(
          await batchUpdate(
            session,
            blobs.map((blob) => ({ blob })),
          ),
          'BatchUpdateBlobs',
        ).responses) {
          holds((status?.code ?? 0) === 0, `a blob was refused: ${status?.message}`);
        }
        const { responses } = ok(await batchRead(session, blobs), 'BatchReadBlobs');
        for (const { bytes, digest } of blobs) {
          const found = responses.find((one) => one.digest?.hash === digest.hash);
          holds(found !== undefined && (found.status?.code ?? 0) === 0, 'a blob is missing');
          if (found.compressor === 'IDENTITY') same(found.data, bytes, 'a blob');
        }
      },
    },
    {
      id: 'batch-one-bad-digest',
      claim: 'A blob with other bytes than its digest says is refused, and only that one',
      async run(session) {
        const [good, bad] = [freshBlob(100), freshBlob(100)];
        const { responses } = ok(
          await batchUpdate(session, [{ blob: bad, data: freshBlob(100).bytes }, { blob: good }]),
          'BatchUpdateBlobs',
        );
        const codeOf = ({ digest }: Blob) => responses.find((one) => one.digest?.hash === digest.hash)?.status?.code ?? 0;
        holds(codeOf(bad) === 3, `the bad one has the status ${codeOf(bad)}, not INVALID_ARGUMENT (3)`);
        holds(codeOf(good) === 0, `the good one has the status ${codeOf(good)}`);
        const missing = await session.missing([good, bad]);
        holds(missing.length === 1 && missing[0] === bad.digest.hash, 'the wrong one was stored');
      },
    },
    {
      id: 'batch-over-limit',
      claim: 'A batch over the advertised limit is refused as a whole, with INVALID_ARGUMENT',
      exempt: ({ capabilities: { cacheCapabilities } }) =>
        Number(cacheCapabilities?.maxBatchTotalSizeBytes) > 0 ? undefined : 'no limit is advertised',
      async run(session) {
        const blobs = [freshBlob(Math.floor(session.batchBytesMax / 2)), freshBlob(Math.floor(session.batchBytesMax / 2) + 1_024)];
        refusedWith(
          await batchUpdate(
            session,
            blobs.map((blob) => ({ blob })),
          ),
          ['INVALID_ARGUMENT'],
          'BatchUpdateBlobs',
        );
        for (const blob of blobs) await session.put(blob);
        refusedWith(await batchRead(session, blobs), ['INVALID_ARGUMENT'], 'BatchReadBlobs');
      },
    },
    {
      id: 'batch-at-limit',
      claim: 'A batch of just the advertised limit is taken and given, in messages below 4 MiB',
      async run(session) {
        const size = Math.floor(session.batchBytesMax / 64);
        const blobs = Array.from({ length: 64 }, () => freshBlob(size));
        ok(
          await batchUpdate(
            session,
            blobs.map((blob) => ({ blob })),
          ),
          'BatchUpdateBlobs',
        );
        const { responses } = ok(await batchRead(session, blobs), 'BatchReadBlobs');
        holds(
          responses.every(({ status }) => (status?.code ?? 0) === 0),
          'not all came',
        );
      },
    },
    {
      id: 'batch-read-not-found',
      claim: 'A blob that is not there is NOT_FOUND, and only that one',
      async run(session) {
        const [there, absent] = [await session.put(freshBlob(10)), freshBlob(10)];
        const { responses } = ok(await batchRead(session, [there, absent]), 'BatchReadBlobs');
        const codeOf = ({ digest }: Blob) => responses.find((one) => one.digest?.hash === digest.hash)?.status?.code ?? 0;
        holds(
          codeOf(absent) === 5 && codeOf(there) === 0,
          `their codes are ${codeOf(absent)} and ${codeOf(there)}, not NOT_FOUND (5) and 0`,
        );
      },
    },
    {
      id: 'moon-repeated-digest',
      claim: 'A digest that is asked for several times in one BatchReadBlobs is answered',
      async run(session) {
        const blob = await session.put(freshBlob(500));
        const { responses } = ok(await batchRead(session, [blob, blob, blob]), 'BatchReadBlobs');
        holds(responses.length > 0 && responses.every(({ status }) => (status?.code ?? 0) === 0), 'it was not given');
      },
    },
    {
      id: 'batch-zstd',
      claim: 'A batch takes zstd, one frame or several, under the digest of what it decompresses to',
      exempt: zstdOf,
      async run(session) {
        const whole = blobOf(Buffer.from('compressible '.repeat(1_000) + Math.E));
        const [one, other] = [freshBlob(2_000), freshBlob(3_000)];
        const twoFrames = blobOf(Buffer.concat([one.bytes, other.bytes]));
        const { responses } = ok(
          await batchUpdate(session, [
            { blob: whole, data: zstdCompressSync(whole.bytes), zstd: true },
            { blob: twoFrames, data: Buffer.concat([zstdCompressSync(one.bytes), zstdCompressSync(other.bytes)]), zstd: true },
          ]),
          'BatchUpdateBlobs',
        );
        for (const { status } of responses) holds((status?.code ?? 0) === 0, `a blob was refused: ${status?.message}`);
        same(ok(await session.read(session.readName(twoFrames)), 'Read'), twoFrames.bytes, 'the blob of two frames');
      },
    },
    {
      id: 'batch-reader',
      claim: 'A caller that may only read stores nothing',
      exempt: (session) => (session.endpoint.readerToken === undefined ? 'no token of a reader was given' : undefined),
      async run(session, reader) {
        const blob = freshBlob(100);
        if (reader !== undefined) await batchUpdate(reader, [{ blob }]); // refused, or silently dropped: both exist
        holds((await session.missing([blob])).length === 1, 'the blob was stored');
      },
    },
  ],
};

const chunks: Area = {
  name: 'SplitBlob, SpliceBlob',
  checks: [
    {
      id: 'split-then-splice',
      claim: 'The chunks of a blob are all there, in the order that makes it, and make it again',
      exempt: ({ capabilities: { cacheCapabilities } }) =>
        cacheCapabilities?.splitBlobSupport === true && cacheCapabilities.spliceBlobSupport ? undefined : 'not advertised',
      async run(session) {
        const blob = await session.put(freshBlob(6_000_000));
        const { instance: instanceName } = session.endpoint;
        const { chunkDigests } = ok(await session.unary(service.SplitBlob, { instanceName, blobDigest: blob.digest }), 'SplitBlob');
        const parts: Buffer[] = [];
        for (const digest of chunkDigests) parts.push(ok(await session.read(session.readName({ digest, bytes: EMPTY.bytes })), 'a chunk'));
        same(Buffer.concat(parts), blob.bytes, 'the chunks together');
        const spliced = await session.unary(service.SpliceBlob, { instanceName, blobDigest: blob.digest, chunkDigests });
        refusedOnlyAsThere(spliced);
      },
    },
    {
      id: 'splice',
      claim: 'Chunks that a client cut make a blob; other bytes, other sizes and chunks that are not there are refused',
      exempt: ({ capabilities: { cacheCapabilities } }) => (cacheCapabilities?.spliceBlobSupport === true ? undefined : 'not advertised'),
      async run(session) {
        const { instance: instanceName } = session.endpoint;
        const [one, two] = [await session.put(freshBlob(70_000)), await session.put(freshBlob(50_000))];
        const blob = blobOf(Buffer.concat([one.bytes, two.bytes]));
        const splice = (...of: readonly Blob[]) =>
          session.unary(service.SpliceBlob, { instanceName, blobDigest: blob.digest, chunkDigests: of.map(({ digest }) => digest) });
        refusedWith(await splice(two, one), ['INVALID_ARGUMENT'], 'chunks in another order');
        refusedWith(await splice(one), ['INVALID_ARGUMENT'], 'too few chunks');
        refusedWith(await splice(one, freshBlob(50_000)), ['NOT_FOUND'], 'a chunk that is not there');
        holds((await session.missing([blob])).length === 1, 'the blob is there before it was made');
        ok(await splice(one, two), 'SpliceBlob');
        same(ok(await session.read(session.readName(blob)), 'Read'), blob.bytes, 'the blob');
      },
    },
    {
      id: 'split-not-found',
      claim: 'A blob that is not there cannot be split',
      exempt: ({ capabilities: { cacheCapabilities } }) => (cacheCapabilities?.splitBlobSupport === true ? undefined : 'not advertised'),
      async run(session) {
        const request = { instanceName: session.endpoint.instance, blobDigest: freshBlob(10).digest };
        refusedWith(await session.unary(service.SplitBlob, request), ['NOT_FOUND'], 'SplitBlob');
      },
    },
  ],
};

/** A splice of a blob that is there may say so. */
function refusedOnlyAsThere(answer: Awaited<ReturnType<Session['unary']>>): void {
  if (answer.kind === 'error') refusedWith(answer, ['ALREADY_EXISTS'], 'SpliceBlob');
}

export const cas: readonly Area[] = [findMissing, batches, chunks];
