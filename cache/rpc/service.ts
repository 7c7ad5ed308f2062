import type { Authenticator } from '../../base/auth.ts';
import type { Env } from '../../base/env.ts';
import { Fault } from '../../base/fault.ts';
import type { ActionCache } from '../action-cache/action-cache.ts';
import type { BlobStore } from '../blob-store.ts';

/** What the services of the data plane stand on. */
export type DataPlaneParts = {
  readonly authenticator: Authenticator;
  /** The blobs of a project. */
  readonly storeOf: (project: string) => BlobStore;
  /** Complete entries only. */
  readonly actionCache: ActionCache;
  readonly env: Env;
};

/** @throws {Fault} BAD_REQUEST for another function than SHA-256. */
export function checkDigestFunction(value: string | number): void {
  if (value === 'UNKNOWN' || value === 'SHA256' || value === 0 || value === 1) return;
  throw new Fault('BAD_REQUEST', `Digest function ${value} is not offered: use SHA256`, { field: 'digest_function' });
}
