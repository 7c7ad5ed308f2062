// Original file: proto/switchyard/v1/identity.proto

import type { Long } from '@grpc/proto-loader';

export interface Enrolment {
  'id'?: (string);
  'zone'?: (string);
  'cluster'?: (string);
  'pool'?: (string);
  'agentId'?: (string);
  'from'?: (string);
  'createdBy'?: (string);
  'createdAtMs'?: (number | string | Long);
  'expiresAtMs'?: (number | string | Long);
  'usedBy'?: (string);
  'spentAtMs'?: (number | string | Long);
  'revokedBy'?: (string);
}

export interface Enrolment__Output {
  'id': (string);
  'zone': (string);
  'cluster': (string);
  'pool': (string);
  'agentId': (string);
  'from': (string);
  'createdBy': (string);
  'createdAtMs': (string);
  'expiresAtMs': (string);
  'usedBy': (string);
  'spentAtMs': (string);
  'revokedBy': (string);
}
