// Original file: proto/switchyard/v1/cache.proto

import type { Long } from '@grpc/proto-loader';

export interface GetStagingResponse {
  'blobs'?: (number | string | Long);
  'bytes'?: (number | string | Long);
  'limitBytes'?: (number | string | Long);
  'stagedCount'?: (number | string | Long);
  'refusedCount'?: (number | string | Long);
  'drainedCount'?: (number | string | Long);
  'droppedCount'?: (number | string | Long);
  'missedCount'?: (number | string | Long);
  'away'?: (string);
}

export interface GetStagingResponse__Output {
  'blobs': (string);
  'bytes': (string);
  'limitBytes': (string);
  'stagedCount': (string);
  'refusedCount': (string);
  'drainedCount': (string);
  'droppedCount': (string);
  'missedCount': (string);
  'away': (string);
}
