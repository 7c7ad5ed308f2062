import { Fault } from '../../base/fault.ts';
import type { EntryCacheHandlers } from '../../proto/gen/switchyard/v1/EntryCache.ts';
import type { ExplainEntryRequest__Output } from '../../proto/gen/switchyard/v1/ExplainEntryRequest.ts';
import type { ExplainEntryResponse } from '../../proto/gen/switchyard/v1/ExplainEntryResponse.ts';
import type { FindEntryRequest__Output } from '../../proto/gen/switchyard/v1/FindEntryRequest.ts';
import type { FindEntryResponse } from '../../proto/gen/switchyard/v1/FindEntryResponse.ts';
import type { GetCacheUsageRequest__Output } from '../../proto/gen/switchyard/v1/GetCacheUsageRequest.ts';
import type { GetCacheUsageResponse } from '../../proto/gen/switchyard/v1/GetCacheUsageResponse.ts';
import type { PutEntryRequest__Output } from '../../proto/gen/switchyard/v1/PutEntryRequest.ts';
import type { PutEntryResponse } from '../../proto/gen/switchyard/v1/PutEntryResponse.ts';
import { unary, type Call } from '../../proto/handlers.ts';
import { loadProto } from '../../proto/load.ts';
import type { ServedService } from '../../proto/serve.ts';
import { referencesOf } from '../action/references.ts';
import { NO_PROVENANCE, type Entry } from '../entries/entry-store.ts';
import { explainMiss } from '../entries/explain.ts';
import type { EntryKey } from '../store-index/store-index.ts';
import { accessOf, type Access } from './access.ts';
import { projectAccess } from './entry-access.ts';
import { entryFromProto, entryToProto, kindFromProto, nameToProto } from './entry-convert.ts';
import { checkEntry, planCollection } from './entry-inspection.ts';
import { listEntries, purgeEntries } from './entry-operations.ts';
import type { DataPlaneParts } from './service.ts';
import { stagingNow } from './staging-service.ts';

/** Prefixes that one lookup may try. */
const PREFIXES_MAX = 16;

/** Named entries of the cache, for coordinators (the dependency cache, results with their provenance) and the command line. */
export function entryService(parts: DataPlaneParts): ServedService {
  const { env } = parts;
  const handlers: EntryCacheHandlers = {
    FindEntry: unary(env, 'FindEntry', (request, call) => find(parts, request, call)),
    PutEntry: unary(env, 'PutEntry', (request, call) => put(parts, request, call)),
    ListEntries: unary(env, 'ListEntries', (request, call) => listEntries(parts, request, call)),
    ExplainEntry: unary(env, 'ExplainEntry', (request, call) => explain(parts, request, call)),
    PurgeEntries: unary(env, 'PurgeEntries', (request, call) => purgeEntries(parts, request, call)),
    GetStaging: unary(env, 'GetStaging', async () => stagingNow(parts)),
    GetCacheUsage: unary(env, 'GetCacheUsage', (request, call) => usage(parts, request, call)),
    CheckEntry: unary(env, 'CheckEntry', (request, call) => checkEntry(parts, request, call)),
    PlanCollection: unary(env, 'PlanCollection', (request, call) => planCollection(parts, request, call)),
  };
  return { definition: loadProto().switchyard.v1.EntryCache.service, handlers };
}

async function find(parts: DataPlaneParts, request: FindEntryRequest__Output, call: Call): Promise<FindEntryResponse> {
  const access = accessOf(parts, request.instanceName, call);
  const kind = kindFromProto(request.kind, 'kind');
  if (request.prefixes.length > PREFIXES_MAX) {
    throw new Fault('BAD_REQUEST', `At most ${PREFIXES_MAX} prefixes, got ${request.prefixes.length}`, { field: 'prefixes' });
  }
  const { project, reads } = access.view;
  for (let scopes = reads; request.key !== '';) {
    const entry = await parts.entries.complete.get(kind, project, scopes, request.key, call.signal);
    if (entry === undefined) break;
    if (isFor(access, entry)) return { entry: entryToProto(entry, true) };
    scopes = scopes.slice(scopes.indexOf(entry.at.owner.scope) + 1);
  }
  for (const prefix of request.prefixes) {
    const entry = await parts.entries.complete.newest(kind, project, reads, prefix, call.signal);
    if (entry !== undefined && isFor(access, entry)) return { entry: entryToProto(entry, true), prefix };
  }
  return {};
}

/** What goes into builds of ours must come from agents of ours: a client only says that it ran something. */
function isFor({ identity }: Access, { provenance }: Entry): boolean {
  return identity.kind !== 'service' || provenance.writer === 'executor';
}

const OUTCOMES = { kept: 'OUTCOME_KEPT', same: 'OUTCOME_SAME', differs: 'OUTCOME_DIFFERS' } as const;

async function put(parts: DataPlaneParts, request: PutEntryRequest__Output, call: Call): Promise<PutEntryResponse> {
  const access = accessOf(parts, request.instanceName, call);
  const { results, view } = access;
  const { project } = view;
  const asked = entryFromProto(project, request.entry, 'entry');
  if (results === undefined || !mayPut(access, asked, request.replace)) {
    throw new Fault('FORBIDDEN', 'Only coordinators keep entries, but for layers in a scope that you write: they know who made what', {
      hint: 'Results of builds of your own go through the ActionCache of the Remote Execution API.',
    });
  }
  const given = access.identity.kind === 'service' ? asked : { ...asked, provenance: { ...NO_PROVENANCE, caller: view.producer } };
  const scope = given.at.owner.scope === '' ? results : given.at.owner.scope;
  if (scope !== results) {
    throw new Fault('BAD_REQUEST', `The entry is for ${scope}, the instance name for ${results}`, { field: 'entry.name.scope' });
  }
  referencesOf(given.value); // refuses malformed digests, naming the field
  const at: EntryKey = { ...given.at, owner: { project, scope } };
  // The time is ours: purges by time go by one clock.
  const entry = { ...given, at, writtenAt: parts.env.clock.now() };
  const kept = await parts.entries.complete.put(entry, { replace: request.replace }, call.signal);
  if (kept.kind === 'differs') {
    const { build, agent } = kept.entry.provenance;
    parts.env.log.warn('entry-differs', { ...at, build: entry.provenance.build, agent: entry.provenance.agent, first: { build, agent } });
  }
  return { outcome: OUTCOMES[kept.kind], entry: entryToProto(kept.entry, kept.kind !== 'kept') };
}

/** Coordinators keep anything; callers give names to trees of their own, as layers, which no build of ours looks for. */
function mayPut({ identity }: Access, { at }: Entry, replace: boolean): boolean {
  return identity.kind === 'service' || (identity.kind === 'caller' && at.kind === 'layer' && !replace);
}

async function explain(parts: DataPlaneParts, request: ExplainEntryRequest__Output, call: Call): Promise<ExplainEntryResponse> {
  const { view } = accessOf(parts, request.instanceName, call);
  const { isAdmin } = projectAccess(parts, request.instanceName, call);
  const kind = kindFromProto(request.kind, 'kind');
  const missed = { kind, project: view.project, reads: view.reads, key: request.key, parts: request.parts };
  const { raw, departures } = parts.entries;
  const { nearest, differences, causes } = await explainMiss({ raw, departures, beside: isAdmin }, missed, call.signal);
  return {
    ...(nearest === undefined ? {} : { nearest: nameToProto(nearest) }),
    differences: differences.map(({ name, before = '', now = '' }) => ({ name, before, now })),
    causes: [...causes],
  };
}

async function usage(parts: DataPlaneParts, request: GetCacheUsageRequest__Output, call: Call): Promise<GetCacheUsageResponse> {
  const { project, isAdmin } = projectAccess(parts, request.instanceName, call);
  const reads = isAdmin ? undefined : accessOf(parts, request.instanceName, call).view.reads;
  const scopes = (await parts.entries.usage(call.signal)).filter(
    ({ owner }) => owner.project === project && (reads === undefined || reads.includes(owner.scope)),
  );
  return {
    scopes: scopes.map(({ owner, ...counts }) => ({
      scope: owner.scope,
      entryCount: String(counts.entryCount),
      blobBytes: String(counts.blobBytes),
      entryCountMax: String(counts.quota?.entryCount ?? 0),
      blobBytesMax: String(counts.quota?.blobBytes ?? 0),
      evictedEntryCount: String(counts.evictedEntryCount),
      evictedBlobCount: String(counts.evictedBlobCount),
    })),
  };
}
