// Original file: proto/switchyard/v1/build.proto

import type { Long } from '@grpc/proto-loader';

export interface ScaledInAgent {
  'agent'?: (string);
  'running'?: (number);
  'sideEffects'?: (number);
  'workMs'?: (number | string | Long);
}

export interface ScaledInAgent__Output {
  'agent': (string);
  'running': (number);
  'sideEffects': (number);
  'workMs': (string);
}
