import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { Fault } from '../base/fault.ts';
import { keptFile } from './kept-file.ts';
import type { SharedLedger } from './ledger/ledger.ts';

/**
 * Sees to it that all coordinators on a ledger use one directory of blobs: it holds a random name, and the ledger keeps the first
 * one that it was told. @throws {Fault} CONFIG_INVALID where this is another directory than the others'; LEDGER_UNAVAILABLE
 */
export async function claimBlobs(ledger: SharedLedger, blobsDir: string, signal: AbortSignal): Promise<void> {
  const path = join(blobsDir, 'store-id');
  const own = await keptFile(
    path,
    () => randomBytes(16).toString('hex'),
    (text) => /^[0-9a-f]{32}$/.test(text),
  );
  const claimed = await ledger.claimStore(own, signal);
  if (claimed === own) return;
  throw new Fault('CONFIG_INVALID', `--blobs-dir ${blobsDir} is not the directory that the other coordinators on this ledger share`, {
    field: 'blobsDir',
    hint:
      `The ledger belongs to the store ${claimed}, and ${path} says ${own}. Mount the directory of the others here. ` +
      `Where theirs is gone for good, write ${claimed} into ${path}: outputs and old logs that were kept there are then lost.`,
  });
}
