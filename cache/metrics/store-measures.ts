import type { FaultCode } from '../../base/fault.ts';

/** What is asked of a bucket. */
export const OBJECT_CALLS = ['put', 'get', 'head', 'list', 'delete', 'abort-uploads'] as const;
export type ObjectCall = (typeof OBJECT_CALLS)[number];

/** How something ended: well, or by the code of the fault. */
export type Outcome = 'ok' | FaultCode;

/** What a data plane's stores tell of as it happens; sums are looked up (`StoreState`). */
export interface StoreMeasures {
  /** A call to the bucket has ended, tries again included; a list or a body counts until its end. */
  objectCall(call: ObjectCall, outcome: Outcome, ms: number): void;
  /** Bytes of bodies: `out` of the bucket, `in` to it. */
  objectBytes(direction: 'in' | 'out', bytes: number): void;
  /** A pack is durable: how long it was kept open for company while somebody waited, and how long storing it then took. */
  packStored(gatherMs: number, storeMs: number): void;
}

export const NO_MEASURES: StoreMeasures = { objectCall: () => {}, objectBytes: () => {}, packStored: () => {} };
