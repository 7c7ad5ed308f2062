import { Fault } from '../../base/fault.ts';
import type { CallEnv } from '../../proto/handlers.ts';
import type { ActionCache } from '../action-cache/action-cache.ts';
import type { DirectReads } from '../direct-reads.ts';
import type { EntryParts } from '../entries/entry-parts.ts';
import type { Others } from '../processes/worker.ts';
import type { HeldRefusals } from '../refusals.ts';
import type { Staging } from '../staging/open.ts';
import type { StoreOf } from '../store-view.ts';
import type { Gate } from './access.ts';
import type { ExecutionRelay } from './execution-relay.ts';

/** What the services of the data plane stand on. */
export type DataPlaneParts = Gate & {
  readonly storeOf: StoreOf;
  /** Complete entries only. */
  readonly actionCache: ActionCache;
  readonly entries: EntryParts;
  /** @default the store has no URLs */
  readonly direct?: DirectReads | undefined;
  /** @default actions are not run here */
  readonly execution?: Pick<ExecutionRelay, 'services' | 'isThere' | 'isLog' | 'readLog'> | undefined;
  /** @default nothing is staged */
  readonly staging?: Pick<Staging, 'holdsAny' | 'state'> | undefined;
  /** @default this is the whole data plane */
  readonly others?: Pick<Others, 'ask'> | undefined;
  /** What was refused and is in no record yet. @default nothing is held */
  readonly refusals?: HeldRefusals | undefined;
  readonly env: CallEnv;
};

/** @throws {Fault} BAD_REQUEST for another function than SHA-256. */
export function checkDigestFunction(value: string | number): void {
  if (value === 'UNKNOWN' || value === 'SHA256' || value === 0 || value === 1) return;
  throw new Fault('BAD_REQUEST', `Digest function ${value} is not offered: use SHA256`, { field: 'digest_function' });
}
