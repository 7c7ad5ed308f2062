// Original file: proto/switchyard/v1/cache.proto

import type { CacheEntry as _switchyard_v1_CacheEntry, CacheEntry__Output as _switchyard_v1_CacheEntry__Output } from '../../switchyard/v1/CacheEntry.ts';
import type { Long } from '@grpc/proto-loader';

export interface CheckEntryResponse {
  'entry'?: (_switchyard_v1_CacheEntry | null);
  'blobCount'?: (number | string | Long);
  'readBytes'?: (number | string | Long);
  'missing'?: (string)[];
  'missingCount'?: (number | string | Long);
  'damaged'?: (string)[];
  'damagedCount'?: (number | string | Long);
}

export interface CheckEntryResponse__Output {
  'entry': (_switchyard_v1_CacheEntry__Output | null);
  'blobCount': (string);
  'readBytes': (string);
  'missing': (string)[];
  'missingCount': (string);
  'damaged': (string)[];
  'damagedCount': (string);
}
