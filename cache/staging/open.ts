import { join } from 'node:path';
import type { Breaker } from '../../base/breaker.ts';
import type { Env } from '../../base/env.ts';
import type { ActionCache } from '../action-cache/action-cache.ts';
import type { Digest } from '../digest.ts';
import type { EntryStore } from '../entries/entry-store.ts';
import type { ObjectStore } from '../objects/object-store.ts';
import type { StoreOf, StoreView } from '../store-view.ts';
import { StagingArea, type StagingTotals } from './area.ts';
import { startDrainer, type DrainCounts } from './drainer.ts';
import type { MissingNow } from './missing-now.ts';
import { actionsWhileAway, entriesWhileAway, type LookupCounts } from './while-away.ts';
import { withStaging } from './with-staging.ts';

/** What waits for the bucket and what became of the rest; `away`: why nothing goes there, undefined while it answers. */
export type StagingState = StagingTotals & Readonly<DrainCounts> & Readonly<LookupCounts> & { readonly away: string | undefined };

export type StagingStackOptions = {
  /** Of the data plane; its `staging` is taken where no other is named. */
  readonly dir: string;
  readonly staging: { readonly bytes: number; readonly dir: string | undefined } | undefined;
  readonly storeOf: StoreOf;
  readonly missing: MissingNow;
  readonly objects: Pick<ObjectStore, 'head'>;
  readonly breaker: Breaker;
};

/** What lets builds go on without the bucket. */
export interface Staging extends AsyncDisposable {
  readonly storeOf: StoreOf;
  /** Whether some of the blobs are on the local disk only, as far as the view reads. */
  holdsAny(view: StoreView, digests: readonly Digest[], signal: AbortSignal): Promise<boolean>;
  entries(next: EntryStore): EntryStore;
  actions(next: ActionCache): ActionCache;
  state(): StagingState;
}

const STAGING_BYTES = 10 * 1024 ** 3;
/** Of no object: asking for it shows whether the bucket answers. */
const PROBE_KEY = 'probe/none';

/** @throws {Fault} STORE_UNAVAILABLE for the directory */
export async function openStaging({ dir, staging, storeOf, missing, objects, breaker }: StagingStackOptions, env: Env): Promise<Staging> {
  const area = await StagingArea.open({ dir: staging?.dir ?? join(dir, 'staging'), limitBytes: staging?.bytes ?? STAGING_BYTES, env });
  const isAway = () => breaker.view().kind !== 'closed';
  const drainer = startDrainer({ area, storeOf, breaker, probe: (signal) => objects.head(PROBE_KEY, signal), env });
  const lookups: LookupCounts = { missed: 0 };
  return {
    storeOf: withStaging({ next: storeOf, missing, area, isAway }),
    holdsAny: (view, digests, signal) => area.holdsAny(view, digests, signal),
    entries: (next) => entriesWhileAway(next, { refusal: () => breaker.refusal(), isStaging: () => !area.isEmpty }),
    actions: (next) => actionsWhileAway(next, { isAway, counts: lookups, log: env.log }),
    state() {
      const { kind, lastFault } = breaker.view();
      return { ...area.totals(), ...drainer.counts, ...lookups, away: kind === 'closed' ? undefined : (lastFault ?? 'it does not answer') };
    },
    async [Symbol.asyncDispose]() {
      await drainer[Symbol.asyncDispose]();
      await area[Symbol.asyncDispose]();
    },
  };
}
