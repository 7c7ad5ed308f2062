// Original file: proto/switchyard/v1/build.proto

import type { LagUse as _switchyard_v1_LagUse, LagUse__Output as _switchyard_v1_LagUse__Output } from '../../switchyard/v1/LagUse.ts';
import type { Long } from '@grpc/proto-loader';

export interface OnLag {
  'afterMs'?: (number | string | Long);
  'use'?: (_switchyard_v1_LagUse);
}

export interface OnLag__Output {
  'afterMs': (string);
  'use': (_switchyard_v1_LagUse__Output);
}
