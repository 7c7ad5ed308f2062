import { callUnary, dial, type Link } from '../../proto/dial.ts';
import type { EntryCacheClient } from '../../proto/gen/switchyard/v1/EntryCache.ts';
import type { PlanCollectionResponse__Output } from '../../proto/gen/switchyard/v1/PlanCollectionResponse.ts';
import { loadProto } from '../../proto/load.ts';
import type { Entry, KeyPart, Put } from '../entries/entry-store.ts';
import type { ScopeUsage } from '../entries/entry-parts.ts';
import type { Explanation } from '../entries/explain.ts';
import type { PurgeCriteria, PurgeReport } from '../entries/purge.ts';
import type { EntryKey, EntryKind } from '../store-index/store-index.ts';
import {
  entryFromProto,
  entryToProto,
  kindToProto,
  nameFromProto,
  nameToProto,
  provenanceFromProto,
  putFromProto,
} from './entry-convert.ts';
import { stagingFromProto, type StagingNow } from './staging-service.ts';

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
  /** What waits for a store that does not answer. */
  staging(signal: AbortSignal): Promise<StagingNow>;
  /** The complete entry of a key in the nearest scope; undefined where there is none. */
  find(instanceName: string, kind: EntryKind, key: string, signal: AbortSignal): Promise<Entry | undefined>;
  /** Why there is none of the key. */
  explain(instanceName: string, kind: EntryKind, key: string, parts: readonly KeyPart[], signal: AbortSignal): Promise<Explanation>;
  /**
   * Keeps an entry of the kind `layer` in the caller's own scope, or one below it, unless its name is taken. Who made it, the data plane
   * says. @throws {Fault} FORBIDDEN for viewers and other kinds; BAD_REQUEST, TOO_LARGE
   */
  put(instanceName: string, entry: Entry, signal: AbortSignal): Promise<Put>;
  /** Reads all blobs of an entry at the data plane; undefined where there is no such entry. */
  check(instanceName: string, at: EntryKey, signal: AbortSignal): Promise<CheckedEntry | undefined>;
  /** What garbage collection would do now. @throws {Fault} FORBIDDEN for all but admins */
  planCollection(instanceName: string, signal: AbortSignal): Promise<CollectionPlan>;
}

/** What reading an entry's blobs has shown; the first hundred digests. */
export type CheckedEntry = {
  readonly entry: Entry;
  readonly blobCount: number;
  readonly readBytes: number;
  readonly missing: readonly string[];
  readonly missingCount: number;
  readonly damaged: readonly string[];
  readonly damagedCount: number;
};

export type PlannedWhy = 'unused' | 'half-done' | 'unrecorded' | 'in-grace' | 'grace-over';

/** What would go: of the caller's project by name (the first thousand of each), of the whole store as counts. */
export type CollectionPlan = {
  /** False where blobs lie in files: the rest is empty then. */
  readonly hasPacks: boolean;
  /** Why nothing would be collected at all; undefined where it would. */
  readonly stopped: string | undefined;
  readonly entries: readonly { readonly at: EntryKey; readonly why: PlannedWhy; readonly usedAt: number }[];
  readonly entryCount: number;
  readonly packs: readonly {
    readonly name: string;
    readonly scope: string;
    readonly sizeBytes: number;
    readonly producer: string;
    readonly why: PlannedWhy;
    readonly goesAt: number;
  }[];
  readonly packCount: number;
  readonly packBytes: number;
  readonly orphanCount: number;
  readonly kept: { readonly referenced: number; readonly held: number; readonly recent: number };
};

export type PurgeAnswer = PurgeReport & {
  readonly purgedCount: number;
  /** Packs given up at once, and those that wait until nothing uses them. */
  readonly packCount: number;
  readonly waitingPackCount: number;
};

const DEADLINE_MS = 60_000;
/** A purge looks at every entry of a project, a plan at the whole store; an entry may name many gigabytes. */
const LONG_DEADLINE_MS = 15 * 60_000;
const PAGE_COUNT = 500;

type Inspection = Pick<EntryAdmin, 'find' | 'explain' | 'put' | 'check' | 'planCollection'>;

function inspection(client: EntryCacheClient): Inspection {
  const short = (signal: AbortSignal) => ({ signal, deadlineMs: DEADLINE_MS });
  const long = (signal: AbortSignal) => ({ signal, deadlineMs: LONG_DEADLINE_MS });
  return {
    async find(instanceName, kind, key, signal) {
      const { entry } = await callUnary(client, 'findEntry', { instanceName, kind: kindToProto(kind), key }, short(signal));
      return entry === null ? undefined : entryFromProto(projectOf(instanceName), entry, 'entry');
    },
    async explain(instanceName, kind, key, parts, signal) {
      const request = { instanceName, kind: kindToProto(kind), key, parts: [...parts] };
      const { nearest, differences, causes } = await callUnary(client, 'explainEntry', request, short(signal));
      return {
        nearest: nearest === null ? undefined : nameFromProto(projectOf(instanceName), nearest, 'nearest'),
        differences: differences.map(({ name, before, now }) => ({ name, before: before || undefined, now: now || undefined })),
        causes,
      };
    },
    async put(instanceName, entry, signal) {
      const request = { instanceName, entry: entryToProto(entry, true), replace: false };
      return putFromProto(entry, await callUnary(client, 'putEntry', request, short(signal)));
    },
    async check(instanceName, at, signal) {
      const answer = await callUnary(client, 'checkEntry', { instanceName, name: nameToProto(at) }, long(signal));
      if (answer.entry === null) return undefined;
      return {
        entry: entryFromProto(projectOf(instanceName), answer.entry, 'entry'),
        blobCount: Number(answer.blobCount),
        readBytes: Number(answer.readBytes),
        missing: answer.missing,
        missingCount: Number(answer.missingCount),
        damaged: answer.damaged,
        damagedCount: Number(answer.damagedCount),
      };
    },
    async planCollection(instanceName, signal) {
      return planFromProto(instanceName, await callUnary(client, 'planCollection', { instanceName }, long(signal)));
    },
  };
}

const WHYS = {
  REASON_UNSPECIFIED: 'unused',
  REASON_UNUSED: 'unused',
  REASON_HALF_DONE: 'half-done',
  REASON_UNRECORDED: 'unrecorded',
  REASON_IN_GRACE: 'in-grace',
  REASON_GRACE_OVER: 'grace-over',
} as const;

function planFromProto(instanceName: string, plan: PlanCollectionResponse__Output): CollectionPlan {
  return {
    hasPacks: plan.hasPacks,
    stopped: plan.stopped === '' ? undefined : plan.stopped,
    entries: plan.entries.map(({ name, reason, usedAtMs }) => ({
      at: nameFromProto(projectOf(instanceName), name, 'entries.name'),
      why: WHYS[reason],
      usedAt: Number(usedAtMs),
    })),
    entryCount: Number(plan.entryCount),
    packs: plan.packs.map(({ name, scope, sizeBytes, producer, reason, goesAtMs }) => ({
      name,
      scope,
      sizeBytes: Number(sizeBytes),
      producer,
      why: WHYS[reason],
      goesAt: Number(goesAtMs),
    })),
    packCount: Number(plan.packCount),
    packBytes: Number(plan.packBytes),
    orphanCount: Number(plan.orphanCount),
    kept: {
      referenced: Number(plan.referencedPackCount),
      held: Number(plan.heldPackCount),
      recent: Number(plan.recentPackCount),
    },
  };
}

function projectOf(instanceName: string): string {
  return instanceName.split('/')[0] ?? '';
}

/** The connection is made by the first call. Disposal ends calls under way. */
export function openEntryAdmin(link: Link): EntryAdmin {
  const client = dial(loadProto().switchyard.v1.EntryCache, link, 'control');
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
      const answer = await callUnary(client, 'purgeEntries', request, { signal, deadlineMs: LONG_DEADLINE_MS });
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
    staging: async (signal) => stagingFromProto(await callUnary(client, 'getStaging', {}, { signal, deadlineMs: DEADLINE_MS })),
    ...inspection(client),
    [Symbol.dispose]: () => client.close(),
  };
}
