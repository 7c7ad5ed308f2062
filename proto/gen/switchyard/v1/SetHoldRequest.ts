// Original file: proto/switchyard/v1/build.proto

import type { HoldKind as _switchyard_v1_HoldKind, HoldKind__Output as _switchyard_v1_HoldKind__Output } from '../../switchyard/v1/HoldKind.ts';
import type { Long } from '@grpc/proto-loader';

export interface SetHoldRequest {
  'target'?: (string);
  'kind'?: (_switchyard_v1_HoldKind);
  'reason'?: (string);
  'expiresAtMs'?: (number | string | Long);
}

export interface SetHoldRequest__Output {
  'target': (string);
  'kind': (_switchyard_v1_HoldKind__Output);
  'reason': (string);
  'expiresAtMs': (string);
}
