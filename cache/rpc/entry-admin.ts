import { callUnary, dial, type Link } from '../../proto/dial.ts';
import { loadProto } from '../../proto/load.ts';
import type { Entry } from '../entries/entry-store.ts';
import type { ScopeUsage } from '../entries/entry-parts.ts';
import type { PurgeCriteria, PurgeReport } from '../entries/purge.ts';
import type { EntryKind } from '../store-index/store-index.ts';
import { entryFromProto, kindToProto, nameFromProto, provenanceFromProto } from './entry-convert.ts';

/** What people ask of a data plane's entries, for the command line. `instanceName` is `project` or `project/scope`. */
export interface EntryAdmin extends Disposable {
  /** Entries without their values, in order of scope, kind and key. @throws {Fault} FORBIDDEN, BAD_REQUEST, ... */
  list(
    instanceName: string,
    filter: { readonly kind?: EntryKind; readonly producer?: string; readonly scope?: string },
    signal: AbortSignal,
  ): AsyncGenerator<Entry, void, undefined>;
  /** `purged` has the first thousand. @throws {Fault} FORBIDDEN for all but admins, BAD_REQUEST without criteria */
  purge(instanceName: string, criteria: PurgeCriteria, dryRun: boolean, signal: AbortSignal): Promise<PurgeAnswer>;
  /** What the scopes that the caller may know of use. */
  usage(instanceName: string, signal: AbortSignal): Promise<readonly ScopeUsage[]>;
}

export type PurgeAnswer = PurgeReport & {
  readonly purgedCount: number;
  /** Packs given up at once, and those that wait until nothing uses them. */
  readonly packCount: number;
  readonly waitingPackCount: number;
};

const DEADLINE_MS = 60_000;
/** A purge looks at every entry of a project. */
const PURGE_DEADLINE_MS = 15 * 60_000;
const PAGE_COUNT = 500;

/** The connection is made by the first call. Disposal ends calls under way. */
export function openEntryAdmin(link: Link): EntryAdmin {
  const client = dial(loadProto().switchyard.v1.EntryCache, link, 'control');
  const projectOf = (instanceName: string) => instanceName.split('/')[0] ?? '';
  return {
    async *list(instanceName, { kind, producer = '', scope = '' }, signal) {
      for (let pageToken = ''; ;) {
        const filter = { instanceName, ...(kind === undefined ? {} : { kind: kindToProto(kind) }), producer, scope };
        const request = { ...filter, pageSize: PAGE_COUNT, pageToken };
        const page = await callUnary(client, 'listEntries', request, { signal, deadlineMs: DEADLINE_MS });
        for (const entry of page.entries) yield entryFromProto(projectOf(instanceName), entry, 'entries');
        pageToken = page.nextPageToken;
        if (pageToken === '') return;
      }
    },
    async purge(instanceName, { kind, writtenFrom, writtenBefore, ...texts }, dryRun, signal) {
      const request = {
        instanceName,
        ...texts,
        ...(kind === undefined ? {} : { kind: kindToProto(kind) }),
        ...(writtenFrom === undefined ? {} : { writtenFromMs: String(writtenFrom) }),
        ...(writtenBefore === undefined ? {} : { writtenBeforeMs: String(writtenBefore) }),
        dryRun,
      };
      const answer = await callUnary(client, 'purgeEntries', request, { signal, deadlineMs: PURGE_DEADLINE_MS });
      const project = projectOf(instanceName);
      return {
        purged: answer.entries.map((one) => ({
          at: nameFromProto(project, one.name, 'entries.name'),
          provenance: provenanceFromProto(one.provenance, 'entries.provenance'),
          writtenAt: Number(one.writtenAtMs),
          consumed: one.consumed === null ? undefined : nameFromProto(project, one.consumed, 'entries.consumed'),
        })),
        purgedCount: Number(answer.entryCount),
        examinedCount: Number(answer.examinedCount),
        packCount: Number(answer.packCount),
        waitingPackCount: Number(answer.waitingPackCount),
      };
    },
    async usage(instanceName, signal) {
      const { scopes } = await callUnary(client, 'getCacheUsage', { instanceName }, { signal, deadlineMs: DEADLINE_MS });
      return scopes.map((one) => {
        const quota = { blobBytes: Number(one.blobBytesMax), entryCount: Number(one.entryCountMax) };
        return {
          owner: { project: projectOf(instanceName), scope: one.scope },
          entryCount: Number(one.entryCount),
          blobBytes: Number(one.blobBytes),
          quota: quota.blobBytes === 0 && quota.entryCount === 0 ? undefined : quota,
          evictedEntryCount: Number(one.evictedEntryCount),
          evictedBlobCount: Number(one.evictedBlobCount),
        };
      });
    },
    [Symbol.dispose]: () => client.close(),
  };
}
