// Original file: proto/switchyard/v1/cache.proto

import type { Long } from '@grpc/proto-loader';

export interface _switchyard_v1_GetCacheUsageResponse_ScopeUsage {
  'scope'?: (string);
  'entryCount'?: (number | string | Long);
  'blobBytes'?: (number | string | Long);
  'entryCountMax'?: (number | string | Long);
  'blobBytesMax'?: (number | string | Long);
  'evictedEntryCount'?: (number | string | Long);
  'evictedBlobCount'?: (number | string | Long);
}

export interface _switchyard_v1_GetCacheUsageResponse_ScopeUsage__Output {
  'scope': (string);
  'entryCount': (string);
  'blobBytes': (string);
  'entryCountMax': (string);
  'blobBytesMax': (string);
  'evictedEntryCount': (string);
  'evictedBlobCount': (string);
}

export interface GetCacheUsageResponse {
  'scopes'?: (_switchyard_v1_GetCacheUsageResponse_ScopeUsage)[];
}

export interface GetCacheUsageResponse__Output {
  'scopes': (_switchyard_v1_GetCacheUsageResponse_ScopeUsage__Output)[];
}
