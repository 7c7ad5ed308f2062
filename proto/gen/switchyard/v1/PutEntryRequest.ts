// Original file: proto/switchyard/v1/cache.proto

import type { CacheEntry as _switchyard_v1_CacheEntry, CacheEntry__Output as _switchyard_v1_CacheEntry__Output } from '../../switchyard/v1/CacheEntry.ts';

export interface PutEntryRequest {
  'instanceName'?: (string);
  'entry'?: (_switchyard_v1_CacheEntry | null);
  'replace'?: (boolean);
}

export interface PutEntryRequest__Output {
  'instanceName': (string);
  'entry': (_switchyard_v1_CacheEntry__Output | null);
  'replace': (boolean);
}
