import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { Fault } from '../base/fault.ts';
import { keptFile } from './kept-file.ts';
import type { SharedLedger } from './ledger/ledger.ts';

/** Where all coordinators on a ledger keep blobs. */
export type SharedStore =
  /** It holds a random name. */
  | { readonly kind: 'directory'; readonly path: string }
  /** Its index is shared, too: directories are each coordinator's own. `name` has the prefix behind the bucket. */
  | { readonly kind: 'bucket'; readonly name: string };

/** The store of a coordinator with these options; `blobsDir` is where blobs lie, or a bucket's local tier. */
export function sharedStoreOf({ store, storeIndex, s3Bucket, s3Prefix }: SharingOptions, blobsDir: string): SharedStore {
  if (!isBucketShared({ store, storeIndex }) || s3Bucket === undefined) return { kind: 'directory', path: blobsDir };
  return { kind: 'bucket', name: [s3Bucket, ...(s3Prefix === undefined ? [] : [s3Prefix])].join('/') };
}

type SharingOptions = {
  readonly store: 'disk' | 's3';
  readonly storeIndex: 'sqlite' | 'redis';
  readonly s3Bucket: string | undefined;
  readonly s3Prefix: string | undefined;
};

/** Whether coordinators share their blobs by a bucket alone. */
export function isBucketShared({ store, storeIndex }: Pick<SharingOptions, 'store' | 'storeIndex'>): boolean {
  return store === 's3' && storeIndex === 'redis';
}

/**
 * Sees to it that all coordinators on a ledger use one store: the ledger keeps the first name that it was told.
 * @throws {Fault} CONFIG_INVALID where this is another one than the others'; LEDGER_UNAVAILABLE
 */
export async function claimStore(ledger: SharedLedger, store: SharedStore, signal: AbortSignal): Promise<void> {
  const own = store.kind === 'bucket' ? `s3:${store.name}` : await nameOf(store.path);
  const claimed = await ledger.claimStore(own, signal);
  if (claimed === own) return;
  throw store.kind === 'bucket' ? otherBucket(store.name, claimed) : otherDirectory(store.path, own, claimed);
}

async function nameOf(directory: string): Promise<string> {
  return await keptFile(
    fileOf(directory),
    () => randomBytes(16).toString('hex'),
    (text) => /^[0-9a-f]{32}$/.test(text),
  );
}

function fileOf(directory: string): string {
  return join(directory, 'store-id');
}

function otherDirectory(path: string, own: string, claimed: string): Fault {
  const message = `--blobs-dir ${path} is not the directory that the other coordinators on this ledger share`;
  const says = `The ledger belongs to the store ${claimed}, and ${fileOf(path)} says ${own}.`;
  const hint = claimed.startsWith('s3:')
    ? `${says} Give --store s3 --store-index redis and the bucket of the others.`
    : `${says} Mount the directory of the others here. ` +
      `Where theirs is gone for good, write ${claimed} into ${fileOf(path)}: outputs and old logs that were kept there are then lost.`;
  return new Fault('CONFIG_INVALID', message, { field: 'blobsDir', hint });
}

function otherBucket(name: string, claimed: string): Fault {
  return new Fault('CONFIG_INVALID', `The bucket ${name} is not the store that the other coordinators on this ledger share`, {
    field: 's3Bucket',
    hint:
      `The ledger belongs to the store ${claimed}: give --store, --s3-bucket and --s3-prefix of the others. To move the yard to this bucket ` +
      'for good, stop all coordinators and remove the field "store" of the hash {<redis prefix>}:meta in Redis: outputs and old logs that ' +
      'were kept elsewhere are then lost.',
  });
}
