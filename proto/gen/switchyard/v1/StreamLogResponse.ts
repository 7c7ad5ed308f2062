// Original file: proto/switchyard/v1/build.proto

import type { Long } from '@grpc/proto-loader';

export interface StreamLogResponse {
  'offset'?: (number | string | Long);
  'data'?: (Buffer | Uint8Array | string);
  'attempt'?: (number);
  'complete'?: (boolean);
  'truncated'?: (boolean);
}

export interface StreamLogResponse__Output {
  'offset': (string);
  'data': (Buffer);
  'attempt': (number);
  'complete': (boolean);
  'truncated': (boolean);
}
