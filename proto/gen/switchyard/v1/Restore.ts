// Original file: proto/switchyard/v1/types.proto

import type { Long } from '@grpc/proto-loader';

export interface Restore {
  'path'?: (string);
  'rung'?: (string);
  'bytesIn'?: (number | string | Long);
}

export interface Restore__Output {
  'path': (string);
  'rung': (string);
  'bytesIn': (string);
}
