// Original file: proto/switchyard/v1/build.proto

import type { AgentStatus as _switchyard_v1_AgentStatus, AgentStatus__Output as _switchyard_v1_AgentStatus__Output } from '../../switchyard/v1/AgentStatus.ts';
import type { HoldStatus as _switchyard_v1_HoldStatus, HoldStatus__Output as _switchyard_v1_HoldStatus__Output } from '../../switchyard/v1/HoldStatus.ts';

export interface ListAgentsResponse {
  'agents'?: (_switchyard_v1_AgentStatus)[];
  'holds'?: (_switchyard_v1_HoldStatus)[];
}

export interface ListAgentsResponse__Output {
  'agents': (_switchyard_v1_AgentStatus__Output)[];
  'holds': (_switchyard_v1_HoldStatus__Output)[];
}
