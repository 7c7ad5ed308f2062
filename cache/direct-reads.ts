import type { Digest } from './digest.ts';
import type { DirectWrites } from './direct-writes.ts';
import type { BulkPlan } from './packs/bulk.ts';
import type { PackStore } from './packs/open.ts';
import type { StoreIndex } from './store-index/store-index.ts';
import type { StoreView } from './store-view.ts';

/** Reads that do not pass through the data plane, and writes where the store takes them. */
export interface DirectReads {
  /** @default what agents store comes through the data plane */
  readonly writes?: DirectWrites;
  /**
   * Where the view's blobs are, for whoever holds a lease for at least as long as `ttlMs`; no URL outlives it.
   * @throws {Fault} as `PackStore.plan`
   */
  plan(
    view: StoreView,
    digests: readonly Digest[],
    lease: { readonly id: string; readonly ttlMs: number },
    signal: AbortSignal,
  ): Promise<BulkPlan>;
}

/** Over packs in a bucket: what is planned is held for as long as the lease. */
export function directReads(packs: Pick<PackStore, 'plan'>, index: Pick<StoreIndex, 'epoch'>): DirectReads {
  return {
    async plan(view, digests, { id, ttlMs }, signal) {
      const { epoch } = await index.epoch(signal);
      return packs.plan(view, digests, { id: `attempt ${id}`, ttlMs, epoch }, signal);
    },
  };
}
