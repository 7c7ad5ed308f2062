// Original file: proto/switchyard/v1/build.proto

import type { BuildVerdict as _switchyard_v1_BuildVerdict, BuildVerdict__Output as _switchyard_v1_BuildVerdict__Output } from '../../switchyard/v1/BuildVerdict.ts';

export interface BuildEnded {
  'verdict'?: (_switchyard_v1_BuildVerdict);
  'degraded'?: (string)[];
}

export interface BuildEnded__Output {
  'verdict': (_switchyard_v1_BuildVerdict__Output);
  'degraded': (string)[];
}
