// Original file: proto/switchyard/v1/build.proto

import type { Long } from '@grpc/proto-loader';

export interface GetTopologyRequest {
  'revision'?: (number | string | Long);
}

export interface GetTopologyRequest__Output {
  'revision': (string);
}
