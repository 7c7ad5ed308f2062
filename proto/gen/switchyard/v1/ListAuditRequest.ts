// Original file: proto/switchyard/v1/identity.proto

import type { Long } from '@grpc/proto-loader';

export interface ListAuditRequest {
  'act'?: (string);
  'outcome'?: (string);
  'who'?: (string);
  'sinceMs'?: (number | string | Long);
  'limit'?: (number);
  'before'?: (string);
}

export interface ListAuditRequest__Output {
  'act': (string);
  'outcome': (string);
  'who': (string);
  'sinceMs': (string);
  'limit': (number);
  'before': (string);
}
