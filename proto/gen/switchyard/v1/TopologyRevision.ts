// Original file: proto/switchyard/v1/build.proto

import type { Long } from '@grpc/proto-loader';

export interface TopologyRevision {
  'revision'?: (number | string | Long);
  'digest'?: (string);
  'by'?: (string);
  'atMs'?: (number | string | Long);
  'reason'?: (string);
}

export interface TopologyRevision__Output {
  'revision': (string);
  'digest': (string);
  'by': (string);
  'atMs': (string);
  'reason': (string);
}
