// Original file: proto/switchyard/v1/identity.proto

import type { Long } from '@grpc/proto-loader';

export interface CreateEnrolmentRequest {
  'zone'?: (string);
  'cluster'?: (string);
  'pool'?: (string);
  'agentId'?: (string);
  'ttlMs'?: (number | string | Long);
  'from'?: (string);
}

export interface CreateEnrolmentRequest__Output {
  'zone': (string);
  'cluster': (string);
  'pool': (string);
  'agentId': (string);
  'ttlMs': (string);
  'from': (string);
}
