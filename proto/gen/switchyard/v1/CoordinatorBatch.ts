// Original file: proto/switchyard/v1/agent.proto

import type { CoordinatorMessage as _switchyard_v1_CoordinatorMessage, CoordinatorMessage__Output as _switchyard_v1_CoordinatorMessage__Output } from '../../switchyard/v1/CoordinatorMessage.ts';

export interface CoordinatorBatch {
  'messages'?: (_switchyard_v1_CoordinatorMessage)[];
}

export interface CoordinatorBatch__Output {
  'messages': (_switchyard_v1_CoordinatorMessage__Output)[];
}
