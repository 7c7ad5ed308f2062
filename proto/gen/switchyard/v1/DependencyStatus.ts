// Original file: proto/switchyard/v1/build.proto

import type { BreakerStatus as _switchyard_v1_BreakerStatus, BreakerStatus__Output as _switchyard_v1_BreakerStatus__Output } from '../../switchyard/v1/BreakerStatus.ts';

export interface DependencyStatus {
  'name'?: (string);
  'breaker'?: (_switchyard_v1_BreakerStatus | null);
  'detail'?: (string);
}

export interface DependencyStatus__Output {
  'name': (string);
  'breaker': (_switchyard_v1_BreakerStatus__Output | null);
  'detail': (string);
}
