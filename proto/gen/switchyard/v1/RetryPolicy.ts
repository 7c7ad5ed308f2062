// Original file: proto/switchyard/v1/build.proto

import type { RetryLimit as _switchyard_v1_RetryLimit, RetryLimit__Output as _switchyard_v1_RetryLimit__Output } from '../../switchyard/v1/RetryLimit.ts';
import type { Long } from '@grpc/proto-loader';

export interface RetryPolicy {
  'limits'?: (_switchyard_v1_RetryLimit)[];
  'initialMs'?: (number | string | Long);
  'maxMs'?: (number | string | Long);
}

export interface RetryPolicy__Output {
  'limits': (_switchyard_v1_RetryLimit__Output)[];
  'initialMs': (string);
  'maxMs': (string);
}
