// Original file: proto/switchyard/v1/cache.proto

import type { CacheEntry as _switchyard_v1_CacheEntry, CacheEntry__Output as _switchyard_v1_CacheEntry__Output } from '../../switchyard/v1/CacheEntry.ts';

export interface ListEntriesResponse {
  'entries'?: (_switchyard_v1_CacheEntry)[];
  'nextPageToken'?: (string);
}

export interface ListEntriesResponse__Output {
  'entries': (_switchyard_v1_CacheEntry__Output)[];
  'nextPageToken': (string);
}
