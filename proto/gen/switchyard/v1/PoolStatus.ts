// Original file: proto/switchyard/v1/build.proto

import type { BreakerStatus as _switchyard_v1_BreakerStatus, BreakerStatus__Output as _switchyard_v1_BreakerStatus__Output } from '../../switchyard/v1/BreakerStatus.ts';

export interface PoolStatus {
  'name'?: (string);
  'agents'?: (number);
  'connected'?: (number);
  'taking'?: (number);
  'running'?: (number);
  'breaker'?: (_switchyard_v1_BreakerStatus | null);
  'why'?: (string);
  'retriesLeft'?: (number);
}

export interface PoolStatus__Output {
  'name': (string);
  'agents': (number);
  'connected': (number);
  'taking': (number);
  'running': (number);
  'breaker': (_switchyard_v1_BreakerStatus__Output | null);
  'why': (string);
  'retriesLeft': (number);
}
