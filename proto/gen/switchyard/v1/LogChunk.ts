// Original file: proto/switchyard/v1/agent.proto

import type { Long } from '@grpc/proto-loader';

export interface LogChunk {
  'token'?: (string);
  'offset'?: (number | string | Long);
  'data'?: (Buffer | Uint8Array | string);
}

export interface LogChunk__Output {
  'token': (string);
  'offset': (string);
  'data': (Buffer);
}
