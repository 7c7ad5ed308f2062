// Original file: proto/switchyard/v1/build.proto

import type { Long } from '@grpc/proto-loader';

export interface ScaleInRequest {
  'pool'?: (string);
  'keep'?: (number);
  'reason'?: (string);
  'expiresAtMs'?: (number | string | Long);
  'dryRun'?: (boolean);
}

export interface ScaleInRequest__Output {
  'pool': (string);
  'keep': (number);
  'reason': (string);
  'expiresAtMs': (string);
  'dryRun': (boolean);
}
