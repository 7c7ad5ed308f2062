// Original file: proto/switchyard/v1/build.proto

import type { FailureClass as _switchyard_v1_FailureClass, FailureClass__Output as _switchyard_v1_FailureClass__Output } from '../../switchyard/v1/FailureClass.ts';

export interface RetryLimit {
  'class'?: (_switchyard_v1_FailureClass);
  'retries'?: (number);
}

export interface RetryLimit__Output {
  'class': (_switchyard_v1_FailureClass__Output);
  'retries': (number);
}
