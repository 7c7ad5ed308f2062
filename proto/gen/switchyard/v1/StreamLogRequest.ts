// Original file: proto/switchyard/v1/build.proto

import type { Long } from '@grpc/proto-loader';

export interface StreamLogRequest {
  'buildId'?: (string);
  'step'?: (string);
  'attempt'?: (number);
  'offset'?: (number | string | Long);
  'follow'?: (boolean);
}

export interface StreamLogRequest__Output {
  'buildId': (string);
  'step': (string);
  'attempt': (number);
  'offset': (string);
  'follow': (boolean);
}
