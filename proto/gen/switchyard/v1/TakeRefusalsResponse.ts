// Original file: proto/switchyard/v1/data.proto

import type { RefusalBatch as _switchyard_v1_RefusalBatch, RefusalBatch__Output as _switchyard_v1_RefusalBatch__Output } from '../../switchyard/v1/RefusalBatch.ts';

export interface TakeRefusalsResponse {
  'batches'?: (_switchyard_v1_RefusalBatch)[];
}

export interface TakeRefusalsResponse__Output {
  'batches': (_switchyard_v1_RefusalBatch__Output)[];
}
