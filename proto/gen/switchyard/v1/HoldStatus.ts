// Original file: proto/switchyard/v1/build.proto

import type { Long } from '@grpc/proto-loader';

export interface HoldStatus {
  'target'?: (string);
  'kind'?: (string);
  'reason'?: (string);
  'by'?: (string);
  'sinceMs'?: (number | string | Long);
  'expiresAtMs'?: (number | string | Long);
}

export interface HoldStatus__Output {
  'target': (string);
  'kind': (string);
  'reason': (string);
  'by': (string);
  'sinceMs': (string);
  'expiresAtMs': (string);
}
