// Original file: proto/switchyard/v1/cache.proto

import type { CacheEntry as _switchyard_v1_CacheEntry, CacheEntry__Output as _switchyard_v1_CacheEntry__Output } from '../../switchyard/v1/CacheEntry.ts';

// Original file: proto/switchyard/v1/cache.proto

export const _switchyard_v1_PutEntryResponse_Outcome = {
  OUTCOME_UNSPECIFIED: 'OUTCOME_UNSPECIFIED',
  OUTCOME_KEPT: 'OUTCOME_KEPT',
  OUTCOME_SAME: 'OUTCOME_SAME',
  OUTCOME_DIFFERS: 'OUTCOME_DIFFERS',
} as const;

export type _switchyard_v1_PutEntryResponse_Outcome =
  | 'OUTCOME_UNSPECIFIED'
  | 0
  | 'OUTCOME_KEPT'
  | 1
  | 'OUTCOME_SAME'
  | 2
  | 'OUTCOME_DIFFERS'
  | 3

export type _switchyard_v1_PutEntryResponse_Outcome__Output = typeof _switchyard_v1_PutEntryResponse_Outcome[keyof typeof _switchyard_v1_PutEntryResponse_Outcome]

export interface PutEntryResponse {
  'outcome'?: (_switchyard_v1_PutEntryResponse_Outcome);
  'entry'?: (_switchyard_v1_CacheEntry | null);
}

export interface PutEntryResponse__Output {
  'outcome': (_switchyard_v1_PutEntryResponse_Outcome__Output);
  'entry': (_switchyard_v1_CacheEntry__Output | null);
}
