// Original file: proto/switchyard/v1/identity.proto

import type { Long } from '@grpc/proto-loader';

export interface AuditRecord {
  'id'?: (string);
  'atMs'?: (number | string | Long);
  'act'?: (string);
  'outcome'?: (string);
  'actor'?: (string);
  'subject'?: (string);
  'detail'?: (string);
  'peer'?: (string);
  'count'?: (number | string | Long);
  'source'?: (string);
}

export interface AuditRecord__Output {
  'id': (string);
  'atMs': (string);
  'act': (string);
  'outcome': (string);
  'actor': (string);
  'subject': (string);
  'detail': (string);
  'peer': (string);
  'count': (string);
  'source': (string);
}
