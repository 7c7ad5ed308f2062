// Original file: proto/switchyard/v1/identity.proto

import type { Long } from '@grpc/proto-loader';

export interface Denial {
  'subject'?: (string);
  'reason'?: (string);
  'by'?: (string);
  'atMs'?: (number | string | Long);
  'untilMs'?: (number | string | Long);
}

export interface Denial__Output {
  'subject': (string);
  'reason': (string);
  'by': (string);
  'atMs': (string);
  'untilMs': (string);
}
