// Original file: proto/switchyard/v1/data.proto

import type { ReadRange as _switchyard_v1_ReadRange, ReadRange__Output as _switchyard_v1_ReadRange__Output } from '../../switchyard/v1/ReadRange.ts';
import type { Digest as _switchyard_v1_Digest, Digest__Output as _switchyard_v1_Digest__Output } from '../../switchyard/v1/Digest.ts';
import type { Long } from '@grpc/proto-loader';

export interface PlanReadsResponse {
  'ranges'?: (_switchyard_v1_ReadRange)[];
  'notDirect'?: (_switchyard_v1_Digest)[];
  'expiresAtMs'?: (number | string | Long);
}

export interface PlanReadsResponse__Output {
  'ranges': (_switchyard_v1_ReadRange__Output)[];
  'notDirect': (_switchyard_v1_Digest__Output)[];
  'expiresAtMs': (string);
}
