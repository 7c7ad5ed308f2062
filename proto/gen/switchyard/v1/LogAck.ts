// Original file: proto/switchyard/v1/agent.proto

import type { Long } from '@grpc/proto-loader';

export interface LogAck {
  'token'?: (string);
  'offset'?: (number | string | Long);
}

export interface LogAck__Output {
  'token': (string);
  'offset': (string);
}
