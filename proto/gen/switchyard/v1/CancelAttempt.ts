// Original file: proto/switchyard/v1/agent.proto

import type { Long } from '@grpc/proto-loader';

export interface CancelAttempt {
  'token'?: (string);
  'reason'?: (string);
  'graceMs'?: (number | string | Long);
}

export interface CancelAttempt__Output {
  'token': (string);
  'reason': (string);
  'graceMs': (string);
}
