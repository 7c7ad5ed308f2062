// Original file: proto/switchyard/v1/cache.proto

import type { CacheEntry as _switchyard_v1_CacheEntry, CacheEntry__Output as _switchyard_v1_CacheEntry__Output } from '../../switchyard/v1/CacheEntry.ts';

export interface FindEntryResponse {
  'entry'?: (_switchyard_v1_CacheEntry | null);
  'prefix'?: (string);
}

export interface FindEntryResponse__Output {
  'entry': (_switchyard_v1_CacheEntry__Output | null);
  'prefix': (string);
}
