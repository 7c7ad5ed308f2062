import { isScope } from '../../base/caller.ts';
import { Fault } from '../../base/fault.ts';
import { countFromProto } from '../../proto/convert.ts';
import type { ListEntriesRequest__Output } from '../../proto/gen/switchyard/v1/ListEntriesRequest.ts';
import type { ListEntriesResponse } from '../../proto/gen/switchyard/v1/ListEntriesResponse.ts';
import type { PurgeEntriesRequest__Output } from '../../proto/gen/switchyard/v1/PurgeEntriesRequest.ts';
import type { PurgeEntriesResponse } from '../../proto/gen/switchyard/v1/PurgeEntriesResponse.ts';
import type { Call } from '../../proto/handlers.ts';
import { kindOf } from '../entries/check.ts';
import type { Entry } from '../entries/entry-store.ts';
import { planPurge, purge, type PurgeCriteria } from '../entries/purge.ts';
import { compareText } from '../store-index/order.ts';
import type { EntryKey } from '../store-index/store-index.ts';
import { entryToProto, nameToProto, optionalKindFromProto, provenanceToProto } from './entry-convert.ts';
import { accessOf } from './access.ts';
import { projectAccess } from './entry-access.ts';
import type { DataPlaneParts } from './service.ts';

const PAGE_COUNT = 100;
const PAGE_COUNT_MAX = 1_000;
/** Purged entries that an answer names. */
const PURGED_MAX = 1_000;

/** Entries page by page, without their values. @throws {Fault} BAD_REQUEST, FORBIDDEN */
export async function listEntries(parts: DataPlaneParts, request: ListEntriesRequest__Output, call: Call): Promise<ListEntriesResponse> {
  const { view } = accessOf(parts, request.instanceName, call);
  const { isAdmin } = projectAccess(parts, request.instanceName, call);
  if (request.scope !== '' && !isAdmin && !view.reads.includes(request.scope)) {
    throw new Fault('FORBIDDEN', `Your credential reads the scopes ${view.reads.join(', ')} only`, { field: 'scope' });
  }
  const kind = optionalKindFromProto(request.kind);
  const size = Math.min(countFromProto(request.pageSize, 'page_size') || PAGE_COUNT, PAGE_COUNT_MAX);
  const after = request.pageToken === '' ? undefined : placeOf(request.pageToken, view.project);
  const scopes = request.scope === '' ? view.reads.toSorted(compareText) : [request.scope];
  const found: Entry[] = [];
  for (const scope of scopes) {
    if (found.length >= size) break;
    if (after !== undefined && compareText(scope, after.owner.scope) < 0) continue;
    const filter = { scope, ...(kind === undefined ? {} : { kind }), ...(request.producer === '' ? {} : { producer: request.producer }) };
    const from = after?.owner.scope === scope ? after : undefined;
    found.push(...(await parts.entries.raw.list(view.project, filter, from, size - found.length, call.signal)));
  }
  const last = found.at(-1);
  const more = found.length >= size && last !== undefined ? tokenOf(last.at) : '';
  return { entries: found.map((entry) => entryToProto(entry, false)), nextPageToken: more };
}

/** Takes away what fits the request, or says what would go. @throws {Fault} BAD_REQUEST, FORBIDDEN */
export async function purgeEntries(parts: DataPlaneParts, request: PurgeEntriesRequest__Output, call: Call): Promise<PurgeEntriesResponse> {
  const { project, who } = projectAccess(parts, request.instanceName, call);
  const criteria = criteriaOf(request);
  const { raw, departures, packs } = parts.entries;
  const { signal } = call;
  const { purged, examinedCount } = request.dryRun
    ? await planPurge(raw, project, criteria, signal)
    : await purge(raw, project, criteria, (at) => departures.note(at, 'purged'), signal);
  const retired = await packs?.retire(project, criteria, request.dryRun, signal);
  if (!request.dryRun) {
    parts.env.log.warn('cache-purged', { project, who, criteria, entries: purged.length, packs: retired?.retiredCount ?? 0 });
  }
  return {
    entries: purged.slice(0, PURGED_MAX).map(({ at, provenance, writtenAt, consumed }) => ({
      name: nameToProto(at),
      provenance: provenanceToProto({ ...provenance, consumed: [] }),
      writtenAtMs: String(writtenAt),
      ...(consumed === undefined ? {} : { consumed: nameToProto(consumed) }),
    })),
    entryCount: String(purged.length),
    examinedCount: String(examinedCount),
    packCount: String(retired?.retiredCount ?? 0),
    waitingPackCount: String(retired?.waitingCount ?? 0),
  };
}

function criteriaOf(request: PurgeEntriesRequest__Output): PurgeCriteria {
  const kind = optionalKindFromProto(request.kind);
  const from = countFromProto(request.writtenFromMs, 'written_from_ms');
  const before = countFromProto(request.writtenBeforeMs, 'written_before_ms');
  if (request.scope !== '' && !isScope(request.scope)) throw new Fault('BAD_REQUEST', `"${request.scope}" is no scope`, { field: 'scope' });
  return {
    ...(request.build === '' ? {} : { build: request.build }),
    ...(request.agent === '' ? {} : { agent: request.agent }),
    ...(request.caller === '' ? {} : { caller: request.caller }),
    ...(request.scope === '' ? {} : { scope: request.scope }),
    ...(kind === undefined ? {} : { kind }),
    ...(request.key === '' ? {} : { key: request.key }),
    ...(from === 0 ? {} : { writtenFrom: from }),
    ...(before === 0 ? {} : { writtenBefore: before }),
  };
}

function tokenOf({ kind, owner, key }: EntryKey): string {
  return Buffer.from(JSON.stringify([owner.scope, kind, key])).toString('base64url');
}

function placeOf(token: string, project: string): EntryKey {
  try {
    const parsed: unknown = JSON.parse(Buffer.from(token, 'base64url').toString());
    if (Array.isArray(parsed) && parsed.length === 3 && parsed.every((part) => typeof part === 'string')) {
      const [scope = '', kind = '', key = ''] = parsed;
      return { kind: kindOf(kind), owner: { project, scope }, key };
    }
  } catch {
    // not one of ours
  }
  throw new Fault('BAD_REQUEST', 'The page token is none that this server gave', { field: 'page_token' });
}
