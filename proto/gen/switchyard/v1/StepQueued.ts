// Original file: proto/switchyard/v1/build.proto

import type { Long } from '@grpc/proto-loader';

export interface StepQueued {
  'notBeforeMs'?: (number | string | Long);
  'why'?: (string);
}

export interface StepQueued__Output {
  'notBeforeMs': (string);
  'why': (string);
}
