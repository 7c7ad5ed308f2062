// Original file: proto/switchyard/v1/identity.proto

import type { Long } from '@grpc/proto-loader';

export interface DenyRequest {
  'subject'?: (string);
  'reason'?: (string);
  'ttlMs'?: (number | string | Long);
}

export interface DenyRequest__Output {
  'subject': (string);
  'reason': (string);
  'ttlMs': (string);
}
