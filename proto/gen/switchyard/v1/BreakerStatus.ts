// Original file: proto/switchyard/v1/build.proto

import type { Long } from '@grpc/proto-loader';

export interface BreakerStatus {
  'state'?: (string);
  'errors'?: (number);
  'sinceMs'?: (number | string | Long);
  'lastError'?: (string);
  'probeAtMs'?: (number | string | Long);
}

export interface BreakerStatus__Output {
  'state': (string);
  'errors': (number);
  'sinceMs': (string);
  'lastError': (string);
  'probeAtMs': (string);
}
