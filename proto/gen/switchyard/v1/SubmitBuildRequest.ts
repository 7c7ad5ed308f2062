// Original file: proto/switchyard/v1/build.proto

import type { StepSpec as _switchyard_v1_StepSpec, StepSpec__Output as _switchyard_v1_StepSpec__Output } from '../../switchyard/v1/StepSpec.ts';
import type { Long } from '@grpc/proto-loader';

export interface SubmitBuildRequest {
  'idempotencyKey'?: (string);
  'name'?: (string);
  'labels'?: ({[key: string]: string});
  'weight'?: (number | string);
  'timeoutMs'?: (number | string | Long);
  'failFast'?: (boolean);
  'steps'?: (_switchyard_v1_StepSpec)[];
  'scope'?: (string);
  'untrustedInputs'?: (string)[];
}

export interface SubmitBuildRequest__Output {
  'idempotencyKey': (string);
  'name': (string);
  'labels': ({[key: string]: string});
  'weight': (number);
  'timeoutMs': (string);
  'failFast': (boolean);
  'steps': (_switchyard_v1_StepSpec__Output)[];
  'scope': (string);
  'untrustedInputs': (string)[];
}
