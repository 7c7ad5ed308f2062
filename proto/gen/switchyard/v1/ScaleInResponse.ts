// Original file: proto/switchyard/v1/build.proto

import type { ScaledInAgent as _switchyard_v1_ScaledInAgent, ScaledInAgent__Output as _switchyard_v1_ScaledInAgent__Output } from '../../switchyard/v1/ScaledInAgent.ts';

export interface ScaleInResponse {
  'agents'?: (_switchyard_v1_ScaledInAgent)[];
  'serving'?: (number);
}

export interface ScaleInResponse__Output {
  'agents': (_switchyard_v1_ScaledInAgent__Output)[];
  'serving': (number);
}
