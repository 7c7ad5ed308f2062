import { join } from 'node:path';
import { expect, test } from 'vitest';
import { tempDir } from '../test/fixtures/temp-dir.ts';
import { openMemoryLedger } from './ledger/memory.ts';
import { claimStore, sharedStoreOf } from './store-id.ts';

const never = new AbortController().signal;
const S3 = { store: 's3', storeIndex: 'redis', s3Bucket: 'builds', s3Prefix: undefined } as const;

test('coordinators with one directory share it, others are told what the ledger belongs to', async () => {
  await using dir = await tempDir();
  await using another = await tempDir();
  await using ledger = openMemoryLedger();
  const disk = { ...S3, store: 'disk', s3Bucket: undefined } as const;
  const own = sharedStoreOf(disk, dir.path);
  await claimStore(ledger, own, never);
  await claimStore(ledger, own, never);
  const other = sharedStoreOf(disk, another.path);
  await expect(claimStore(ledger, other, never)).rejects.toMatchObject({ code: 'CONFIG_INVALID', hint: expect.stringContaining('Mount') });
  await expect(claimStore(ledger, sharedStoreOf(S3, dir.path), never)).rejects.toMatchObject({ field: 's3Bucket' });
});

test('coordinators with one bucket and its index in Redis share it, whatever directories they have', async () => {
  await using dir = await tempDir();
  await using ledger = openMemoryLedger();
  for (const directory of ['a', 'b']) await claimStore(ledger, sharedStoreOf(S3, join(dir.path, directory)), never);
  const prefixed = sharedStoreOf({ ...S3, s3Prefix: 'yard-b' }, join(dir.path, 'a'));
  await expect(claimStore(ledger, prefixed, never)).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    message: expect.stringContaining('builds/yard-b'),
    hint: expect.stringContaining('s3:builds:'),
  });
});

test('an index in a file is of its directory, which coordinators must share then', async () => {
  await using dir = await tempDir();
  expect(sharedStoreOf({ ...S3, storeIndex: 'sqlite' }, dir.path)).toEqual({ kind: 'directory', path: dir.path });
  await using ledger = openMemoryLedger();
  await claimStore(ledger, sharedStoreOf(S3, dir.path), never);
  const refused = claimStore(ledger, { kind: 'directory', path: dir.path }, never);
  await expect(refused).rejects.toMatchObject({ field: 'blobsDir', hint: expect.stringContaining('--store-index redis') });
});
