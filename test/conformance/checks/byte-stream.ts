import { randomUUID } from 'node:crypto';
import { zstdCompressSync } from 'node:zlib';
import { decompressZstdSync } from '../../../cache/zstd.ts';
import { holds, ok, refusedWith, same, type Area } from '../check.ts';
import { blobOf, ByteStream, EMPTY, freshBlob, type Blob, type Session } from '../session.ts';
import { zstdOf } from './cas.ts';

const ZSTD = 'compressed-blobs/zstd';

const text = (label: string) => blobOf(Buffer.from(`${label} ${randomUUID()} `.repeat(20_000)));

const plainOf = (bytes: Buffer) => Buffer.from(decompressZstdSync(bytes, 64 * 1024 * 1024));

const reads: Area = {
  name: 'ByteStream.Read',
  checks: [
    {
      id: 'read-range',
      claim: 'read_offset and read_limit give that part of a blob, and its end gives nothing',
      async run(session) {
        const blob = await session.put(freshBlob(3_000_000));
        const name = session.readName(blob);
        same(ok(await session.read(name), 'all'), blob.bytes, 'all');
        same(ok(await session.read(name, 1_000_000), 'from an offset'), blob.bytes.subarray(1_000_000), 'from an offset');
        same(ok(await session.read(name, 10, 100), 'a part'), blob.bytes.subarray(10, 110), 'a part');
        same(ok(await session.read(name, 0, 4_000_000), 'a limit beyond the end'), blob.bytes, 'a limit beyond the end');
        same(ok(await session.read(name, 3_000_000), 'the end'), EMPTY.bytes, 'the end');
      },
    },
    {
      id: 'read-out-of-range',
      claim: 'An offset beyond the end or below 0 is OUT_OF_RANGE',
      async run(session) {
        const blob = await session.put(freshBlob(100));
        for (const offset of [101, -1])
          refusedWith(await session.read(session.readName(blob), offset), ['OUT_OF_RANGE'], `offset ${offset}`);
        refusedWith(await session.read(session.readName(blob), 0, -1), ['INVALID_ARGUMENT', 'OUT_OF_RANGE'], 'a limit below 0');
      },
    },
    {
      id: 'read-not-found',
      claim: 'A blob that is not there is NOT_FOUND, also one whose hash is there with another size',
      async run(session) {
        refusedWith(await session.read(session.readName(freshBlob(100))), ['NOT_FOUND'], 'a blob that is not there');
        const { digest, bytes } = await session.put(freshBlob(100));
        const other = { bytes, digest: { ...digest, sizeBytes: '101' } };
        refusedWith(await session.read(session.readName(other)), ['NOT_FOUND', 'INVALID_ARGUMENT'], 'another size');
      },
    },
    {
      id: 'read-bad-names',
      claim: 'Names that are none are refused',
      async run(session) {
        const { digest } = freshBlob(10);
        for (const rest of ['', 'blobs', `blobs/${digest.hash}`, `blobs/${digest.hash}/-1`, `blobs/0123/10`, `objects/${digest.hash}/10`]) {
          refusedWith(await session.read(session.name(rest)), ['INVALID_ARGUMENT', 'NOT_FOUND'], `"${rest}"`);
        }
        const answer = await session.read(session.name(`compressed-blobs/lz5/${digest.hash}/10`));
        refusedWith(answer, ['INVALID_ARGUMENT', 'UNIMPLEMENTED', 'NOT_FOUND'], 'an unknown compressor');
      },
    },
    {
      id: 'read-zstd',
      claim: 'A compressed read decompresses to the blob, and the empty blob to nothing',
      exempt: zstdOf,
      async run(session) {
        for (const blob of [await session.put(text('zstd')), await session.put(freshBlob(100_000)), EMPTY]) {
          const compressed = ok(await session.read(session.readName(blob, ZSTD)), 'a compressed read');
          same(plainOf(compressed), blob.bytes, 'what it decompresses to');
        }
        const blob = await session.put(freshBlob(10));
        refusedWith(await session.read(session.readName(blob, ZSTD), 0, 5), ['INVALID_ARGUMENT'], 'a limit on a compressed read');
      },
    },
    {
      id: 'zstd-read-offset-uncompressed',
      claim: 'read_offset of a compressed read counts bytes of the blob, so that a broken one is taken up again',
      exempt: zstdOf,
      async run(session) {
        const blob = await session.put(text('offset'));
        const compressed = ok(await session.read(session.readName(blob, ZSTD), 12_345), 'a compressed read from an offset');
        same(plainOf(compressed), blob.bytes.subarray(12_345), 'the rest');
      },
    },
    {
      id: 'moon-empty-instance-leading-slash',
      claim: 'A slash too many in front of a name is borne with: moon sends one where the instance name is empty',
      async run(session) {
        const blob = await session.put(freshBlob(50));
        same(ok(await session.read(`/${session.readName(blob)}`), 'Read'), blob.bytes, 'the blob');
      },
    },
  ],
};

const message = (
  session: Session,
  blob: Blob,
  more: { readonly data?: Buffer; readonly offset?: number; readonly finish?: boolean } = {},
) => ({
  resourceName: session.writeName(blob),
  data: more.data ?? blob.bytes,
  writeOffset: String(more.offset ?? 0),
  finishWrite: more.finish ?? true,
});

const writes: Area = {
  name: 'ByteStream.Write, QueryWriteStatus',
  checks: [
    {
      id: 'write-in-pieces',
      claim: 'A blob comes in pieces, the name in the first message only, and the end may come in an empty message',
      async run(session) {
        const blob = freshBlob(300_000);
        const pieces = [0, 100_000, 200_000].map((offset, index) => ({
          resourceName: index === 0 ? session.writeName(blob) : '',
          data: blob.bytes.subarray(offset, offset + 100_000),
          writeOffset: String(offset),
          finishWrite: false,
        }));
        const end = { resourceName: '', data: Buffer.alloc(0), writeOffset: '300000', finishWrite: true };
        holds(ok(await session.write([...pieces, end]), 'Write') === 300_000, 'committed_size is not the size');
        same(ok(await session.read(session.readName(blob)), 'Read'), blob.bytes, 'the blob');
      },
    },
    {
      id: 'write-metadata-segments',
      claim: 'Segments of a name after the size are ignored',
      async run(session) {
        const blob = freshBlob(100);
        const resourceName = `${session.writeName(blob)}/some/metadata`;
        ok(await session.write([{ ...message(session, blob), resourceName }]), 'Write');
        holds((await session.missing([blob])).length === 0, 'the blob is missing');
      },
    },
    {
      id: 'write-mismatch',
      claim: 'Other bytes than the digest says, fewer or more, are INVALID_ARGUMENT, and nothing is to be seen of them',
      async run(session) {
        for (const data of [freshBlob(1_000).bytes, freshBlob(999).bytes, freshBlob(1_001).bytes]) {
          const blob = freshBlob(1_000);
          refusedWith(await session.write([message(session, blob, { data })]), ['INVALID_ARGUMENT'], `${data.byteLength} of 1000 bytes`);
          holds((await session.missing([blob])).length === 1, 'a blob is there');
        }
      },
    },
    {
      id: 'write-offsets',
      claim: 'Offsets that do not go on where the last message ended are INVALID_ARGUMENT',
      async run(session) {
        const blob = freshBlob(1_000);
        const first = message(session, blob, { data: blob.bytes.subarray(0, 500), finish: false });
        const gap = { ...message(session, blob, { data: blob.bytes.subarray(500), offset: 501 }), resourceName: '' };
        refusedWith(await session.write([first, gap]), ['INVALID_ARGUMENT', 'OUT_OF_RANGE'], 'a gap');
        refusedWith(await session.write([message(session, blob, { offset: 7 })]), ['INVALID_ARGUMENT', 'OUT_OF_RANGE'], 'a beginning at 7');
      },
    },
    {
      id: 'write-unfinished',
      claim: 'A write that ends without finish_write stores nothing',
      async run(session) {
        const blob = freshBlob(1_000);
        const answer = await session.write([message(session, blob, { data: blob.bytes.subarray(0, 600), finish: false })]);
        holds(answer.kind === 'error' || answer.value < 1_000, 'it was accepted as whole');
        holds((await session.missing([blob])).length === 1, 'the blob is there');
      },
    },
    {
      id: 'write-again',
      claim: 'A blob that is there may be written again, and its whole size is committed',
      async run(session) {
        const blob = await session.put(freshBlob(10_000));
        holds(ok(await session.write([message(session, blob)]), 'Write') === 10_000, 'committed_size is another');
      },
    },
    {
      id: 'moon-uuid-reuse-parallel',
      claim: 'One upload id serves many blobs at a time',
      async run(session) {
        const uuid = randomUUID();
        const blobs = Array.from({ length: 20 }, () => freshBlob(50_000));
        const answers = await Promise.all(
          blobs.map((blob) => {
            const [half, rest] = [blob.bytes.subarray(0, 25_000), blob.bytes.subarray(25_000)];
            const resourceName = session.writeName(blob, 'blobs', uuid);
            return session.write([
              { resourceName, data: half, writeOffset: '0' },
              { resourceName, data: rest, writeOffset: '25000', finishWrite: true },
            ]);
          }),
        );
        for (const answer of answers) ok(answer, 'Write');
        holds((await session.missing(blobs)).length === 0, 'a blob is missing');
      },
    },
    {
      id: 'moon-same-blob-twice-at-once',
      claim: 'The same blob from two writers at once is stored',
      async run(session) {
        const blob = freshBlob(500_000);
        const uuid = randomUUID();
        const resourceName = session.writeName(blob, 'blobs', uuid);
        const pieces = [
          { resourceName, data: blob.bytes.subarray(0, 250_000), writeOffset: '0' },
          { resourceName, data: blob.bytes.subarray(250_000), writeOffset: '250000', finishWrite: true },
        ];
        for (const answer of await Promise.all([session.write(pieces), session.write(pieces)])) ok(answer, 'Write');
        same(ok(await session.read(session.readName(blob)), 'Read'), blob.bytes, 'the blob');
      },
    },
    {
      id: 'query-write-status',
      claim: 'QueryWriteStatus knows what is complete, and says 0 of what it does not know',
      async run(session) {
        const [there, absent] = [await session.put(freshBlob(1_234)), freshBlob(1_234)];
        const query = async (blob: Blob) => session.unary(ByteStream.service.QueryWriteStatus, { resourceName: session.writeName(blob) });
        const whole = ok(await query(there), 'a blob that is there');
        holds(whole.complete && Number(whole.committedSize) === 1_234, `it says ${JSON.stringify(whole)} of a blob that is there`);
        const answer = await query(absent);
        if (answer.kind === 'error') refusedWith(answer, ['NOT_FOUND'], 'a blob that is not there');
        else holds(!answer.value.complete && Number(answer.value.committedSize) === 0, `it says ${JSON.stringify(answer.value)}`);
      },
    },
    {
      id: 'write-resumed',
      claim: 'A write that broke is taken up again where QueryWriteStatus says, or from its beginning',
      async run(session) {
        const blob = freshBlob(400_000);
        const resourceName = session.writeName(blob);
        const piece = (from: number, to: number) => ({ resourceName, data: blob.bytes.subarray(from, to), writeOffset: String(from) });
        await session.write([piece(0, 100_000), piece(100_000, 200_000)], { abandon: true });
        const { committedSize } = ok(await session.unary(ByteStream.service.QueryWriteStatus, { resourceName }), 'QueryWriteStatus');
        const from = Number(committedSize);
        holds(from >= 0 && from <= 200_000, `it says ${from} of 200000 bytes that were sent`);
        ok(await session.write([{ ...piece(from, 400_000), finishWrite: true }]), `Write from ${from}`);
        same(ok(await session.read(session.readName(blob)), 'Read'), blob.bytes, 'the blob');
      },
    },
    {
      id: 'zstd-multi-frame-one-buffer',
      claim: 'A compressed write of several frames in one message is taken whole, and its answer is a count or -1',
      exempt: zstdOf,
      async run(session) {
        const blob = freshBlob(30_000);
        const data = Buffer.concat([0, 10_000, 20_000].map((at) => zstdCompressSync(blob.bytes.subarray(at, at + 10_000))));
        const resourceName = session.writeName(blob, ZSTD);
        const committed = ok(await session.write([{ resourceName, data, finishWrite: true }]), 'Write');
        holds([-1, data.byteLength, 30_000].includes(committed), `committed_size is ${committed}`);
        same(ok(await session.read(session.readName(blob)), 'Read'), blob.bytes, 'the blob');
      },
    },
    {
      id: 'write-zstd-bad',
      claim: 'Compressed data that is damaged, cut short, or of another blob is refused, also where it would grow beyond the blob',
      exempt: zstdOf,
      async run(session) {
        const blob = text('bad');
        const good = zstdCompressSync(blob.bytes);
        const bomb = zstdCompressSync(Buffer.alloc(50_000_000));
        for (const data of [good.subarray(0, -10), Buffer.from('no zstd at all'), zstdCompressSync(Buffer.from('other')), bomb]) {
          const answer = await session.write([{ resourceName: session.writeName(blob, ZSTD), data, finishWrite: true }]);
          refusedWith(answer, ['INVALID_ARGUMENT'], `${data.byteLength} bytes`);
        }
        holds((await session.missing([blob])).length === 1, 'the blob is there');
      },
    },
    {
      id: 'bazel50-compressed-committed-size',
      claim: 'Bazel 5.0 is told how many compressed bytes it sent, also of a blob that is there: it believes no other number',
      exempt: zstdOf,
      async run(session) {
        const blob = text('bazel');
        const data = zstdCompressSync(blob.bytes);
        for (const what of ['a new blob', 'a blob that is there']) {
          const request = { resourceName: session.writeName(blob, ZSTD), data, finishWrite: true };
          const committed = ok(await session.write([request], { tool: { name: 'bazel', version: '5.0.0' } }), what);
          holds(committed === data.byteLength, `of ${what} it is told ${committed}, not ${data.byteLength}`);
        }
      },
    },
    {
      id: 'siso-uncompressed-committed-size',
      claim: 'Siso is told the size of the blob, or -1',
      exempt: zstdOf,
      async run(session) {
        const blob = text('siso');
        const request = { resourceName: session.writeName(blob, ZSTD), data: zstdCompressSync(blob.bytes), finishWrite: true };
        const committed = ok(await session.write([request], { tool: { name: 'siso', version: '1.0' } }), 'Write');
        holds([-1, blob.bytes.byteLength].includes(committed), `it is told ${committed}`);
      },
    },
    {
      id: 'write-reader',
      claim: 'A caller that may only read stores nothing',
      exempt: (session) => (session.endpoint.readerToken === undefined ? 'no token of a reader was given' : undefined),
      async run(session, reader) {
        const blob = freshBlob(100);
        if (reader !== undefined) await reader.write([message(reader, blob)]); // refused, or silently dropped: both exist
        holds((await session.missing([blob])).length === 1, 'the blob was stored');
      },
    },
  ],
};

export const byteStream: readonly Area[] = [reads, writes];
