// Original file: proto/switchyard/v1/build.proto

import type { Long } from '@grpc/proto-loader';

export interface ApplyTopologyResponse {
  'revision'?: (number | string | Long);
  'isNew'?: (boolean);
}

export interface ApplyTopologyResponse__Output {
  'revision': (string);
  'isNew': (boolean);
}
