// Original file: proto/switchyard/v1/identity.proto

import type { Denial as _switchyard_v1_Denial, Denial__Output as _switchyard_v1_Denial__Output } from '../../switchyard/v1/Denial.ts';

export interface ListDenialsResponse {
  'denials'?: (_switchyard_v1_Denial)[];
}

export interface ListDenialsResponse__Output {
  'denials': (_switchyard_v1_Denial__Output)[];
}
