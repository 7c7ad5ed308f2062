import { Fault } from '../../base/fault.ts';
import type { CheckEntryRequest__Output } from '../../proto/gen/switchyard/v1/CheckEntryRequest.ts';
import type { CheckEntryResponse } from '../../proto/gen/switchyard/v1/CheckEntryResponse.ts';
import type { PlanCollectionRequest__Output } from '../../proto/gen/switchyard/v1/PlanCollectionRequest.ts';
import type { PlanCollectionResponse } from '../../proto/gen/switchyard/v1/PlanCollectionResponse.ts';
import type { Call } from '../../proto/handlers.ts';
import { checkBlobs } from '../entries/check-blobs.ts';
import { viewOf } from '../entries/needs.ts';
import type { Planned } from '../gc/dry-run.ts';
import { accessOf } from './access.ts';
import { projectAccess } from './entry-access.ts';
import { entryToProto, kindFromProto, nameToProto } from './entry-convert.ts';
import type { DataPlaneParts } from './service.ts';

/** Digests that an answer names. */
const DIGESTS_MAX = 100;
/** Entries and packs that a plan names. */
const PLANNED_MAX = 1_000;

/** Reads all blobs of an entry. @throws {Fault} BAD_REQUEST, FORBIDDEN, STORE_UNAVAILABLE */
export async function checkEntry(parts: DataPlaneParts, request: CheckEntryRequest__Output, call: Call): Promise<CheckEntryResponse> {
  const { view } = accessOf(parts, request.instanceName, call);
  if (request.name === null) throw new Fault('BAD_REQUEST', 'Say which entry', { field: 'name' });
  const kind = kindFromProto(request.name.kind, 'name.kind');
  const scope = request.name.scope === '' ? (view.reads[0] ?? '') : request.name.scope;
  const { isAdmin } = projectAccess(parts, request.instanceName, call);
  if (!isAdmin && !view.reads.includes(scope)) {
    throw new Fault('FORBIDDEN', `The instance name reads the scopes ${view.reads.join(', ')} only`, { field: 'name.scope' });
  }
  const { project } = view;
  const entry = await parts.entries.raw.get(kind, project, [scope], request.name.key, call.signal);
  if (entry === undefined) return {};
  const store = parts.storeOf(viewOf(entry.at.owner)); // what everybody sees who can see the entry
  const { blobCount, readBytes, missing, damaged } = await checkBlobs(entry.value, store, call.signal);
  if (missing.length + damaged.length > 0) {
    parts.env.log.warn('entry-not-whole', { ...entry.at, missing: missing.length, damaged: damaged.length });
  }
  return {
    entry: entryToProto(entry, false),
    blobCount: String(blobCount),
    readBytes: String(readBytes),
    missing: missing.slice(0, DIGESTS_MAX),
    missingCount: String(missing.length),
    damaged: damaged.slice(0, DIGESTS_MAX),
    damagedCount: String(damaged.length),
  };
}

const REASONS = {
  unused: 'REASON_UNUSED',
  'commit-half-done': 'REASON_HALF_DONE',
  unrecorded: 'REASON_UNRECORDED',
  'in-grace': 'REASON_IN_GRACE',
  'grace-over': 'REASON_GRACE_OVER',
} as const;

/** What would be collected of a project; of others only counts. @throws {Fault} BAD_REQUEST, FORBIDDEN, STORE_UNAVAILABLE */
export async function planCollection(
  parts: DataPlaneParts,
  request: PlanCollectionRequest__Output,
  call: Call,
): Promise<PlanCollectionResponse> {
  const { project } = projectAccess(parts, request.instanceName, call);
  const plan = parts.entries.planCollection;
  if (plan === undefined) return { hasPacks: false };
  const found = new PlannedOf(project);
  const { stopped, kept } = await plan((planned) => found.add(planned), call.signal);
  return {
    hasPacks: true,
    stopped: stopped ?? '',
    ...found.counted(),
    referencedPackCount: String(kept.referenced),
    heldPackCount: String(kept.held),
    recentPackCount: String(kept.recent),
  };
}

/** The part of a plan that is a project's. */
class PlannedOf {
  readonly #project: string;
  readonly #entries: NonNullable<PlanCollectionResponse['entries']> = [];
  readonly #packs: NonNullable<PlanCollectionResponse['packs']> = [];
  #entryCount = 0;
  #packCount = 0;
  #packBytes = 0;
  #orphanCount = 0;

  constructor(project: string) {
    this.#project = project;
  }

  add(planned: Planned): void {
    if (planned.kind === 'orphan-pack' || planned.kind === 'orphan-object') {
      this.#orphanCount += 1;
    } else if (planned.kind === 'entry') {
      const { entry, why } = planned;
      if (entry.at.owner.project !== this.#project) return;
      this.#entryCount += 1;
      if (this.#entries.length >= PLANNED_MAX) return;
      this.#entries.push({ name: nameToProto(entry.at), reason: REASONS[why], usedAtMs: String(entry.usedAt) });
    } else {
      const { pack, why, goesAt } = planned;
      if (pack.owner.project !== this.#project) return;
      this.#packCount += 1;
      this.#packBytes += pack.sizeBytes;
      if (this.#packs.length >= PLANNED_MAX) return;
      const { name, owner, sizeBytes, producer } = pack;
      const row = { name, scope: owner.scope, sizeBytes: String(sizeBytes), producer, reason: REASONS[why], goesAtMs: String(goesAt) };
      this.#packs.push(row);
    }
  }

  counted() {
    return {
      entries: this.#entries,
      entryCount: String(this.#entryCount),
      packs: this.#packs,
      packCount: String(this.#packCount),
      packBytes: String(this.#packBytes),
      orphanCount: String(this.#orphanCount),
    };
  }
}
