import { startFakeS3 } from '../../fixtures/fake-s3.ts';

/** What a bucket in a process of its own is told, by its parent's messages. */
export type BucketOrder =
  | { readonly kind: 'limit'; readonly bytesPerSecond: number | undefined }
  /** It answers with a `BucketTally`. */
  | { readonly kind: 'tally' };

/** Where it is; and since its start, requests, and bytes that they moved in either direction. */
export type BucketTally = { readonly endpoint: string; readonly requests: number; readonly bytes: number };

if (process.send !== undefined) {
  const s3 = await startFakeS3();
  const sum = { requests: 0, bytes: 0 };
  s3.decide = ({ method, key, headers }) => {
    sum.requests += 1;
    if (method === 'PUT') sum.bytes += Number(headers['content-length'] ?? 0);
    if (method === 'GET') sum.bytes += readBytes(headers.range, s3.objects.get(key)?.bytes.byteLength ?? 0);
    return undefined;
  };
  const tell = () => process.send?.({ endpoint: s3.endpoint, ...sum } satisfies BucketTally);
  process.on('message', (order: BucketOrder) => {
    if (order.kind === 'limit') s3.traits.bytesPerSecond = order.bytesPerSecond;
    tell();
  });
  process.once('disconnect', () => process.exit(0));
  tell();
}

function readBytes(range: string | undefined, size: number): number {
  const [, from = '0', to = ''] = /^bytes=(\d+)-(\d*)$/.exec(range ?? '') ?? [];
  return Math.max(0, Math.min(to === '' ? size : Number(to) + 1, size) - Number(from));
}
