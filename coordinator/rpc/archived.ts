import type { Caller } from '../../base/caller.ts';
import { isFault } from '../../base/fault.ts';
import type { BlobStore } from '../../cache/blob-store.ts';
import type { Archive } from '../archive/archive.ts';
import type { ArchivedBuild } from '../archive/document.ts';
import type { BuildId } from '../core/ids.ts';
import { viewOfArchived } from '../shell/archived-build.ts';
import { instanceNameOf } from '../shell/instance-name.ts';
import { cursorOf } from '../shell/watch.ts';
import type { BuildNow } from './reads.ts';

export type ArchiveReads = {
  readonly archive: Pick<Archive, 'find'>;
  readonly storeFor: (instanceName: string) => BlobStore;
};

/** Of a build in the ledger, or of one in the archive: there its steps' logs are blobs of `store`. */
export type Found<T> =
  | { readonly kind: 'hot'; readonly value: T }
  | { readonly kind: 'archived'; readonly value: T; readonly build: ArchivedBuild; readonly store: BlobStore };

/**
 * `show` of the build as `read` sees it in the ledger, else as the archive has it. The ledger comes first: a build is in both
 * for a moment, and one that could not be forgotten may go on there.
 * @throws {Fault} BUILD_UNKNOWN, STORE_UNAVAILABLE; what `read` and `show` throw
 */
export async function hotOrArchived<T>(
  { archive, storeFor }: ArchiveReads,
  caller: Caller,
  id: BuildId,
  signal: AbortSignal,
  read: (show: (now: BuildNow) => T) => Promise<T>,
  show: (now: BuildNow) => T,
): Promise<Found<T>> {
  try {
    return { kind: 'hot', value: await read(show) };
  } catch (error) {
    if (!isFault(error, 'BUILD_UNKNOWN')) throw error;
    const build = await archive.find(caller.project, id, signal);
    if (build === undefined) throw error;
    const core = viewOfArchived(build);
    const view = core.build(id);
    const cursor = cursorOf(build.incarnation, view?.lastEventSeq ?? 0);
    const scope = view?.record.spec.scope ?? caller.scope;
    return { kind: 'archived', value: show({ core, view, cursor }), build, store: storeFor(instanceNameOf(caller.project, scope)) };
  }
}
