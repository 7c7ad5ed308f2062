// Original file: proto/switchyard/v1/data.proto

import type { Refusal as _switchyard_v1_Refusal, Refusal__Output as _switchyard_v1_Refusal__Output } from '../../switchyard/v1/Refusal.ts';

export interface RefusalBatch {
  'id'?: (string);
  'refusals'?: (_switchyard_v1_Refusal)[];
}

export interface RefusalBatch__Output {
  'id': (string);
  'refusals': (_switchyard_v1_Refusal__Output)[];
}
