// Original file: proto/switchyard/v1/build.proto

import type { AgentStatus as _switchyard_v1_AgentStatus, AgentStatus__Output as _switchyard_v1_AgentStatus__Output } from '../../switchyard/v1/AgentStatus.ts';
import type { HoldStatus as _switchyard_v1_HoldStatus, HoldStatus__Output as _switchyard_v1_HoldStatus__Output } from '../../switchyard/v1/HoldStatus.ts';
import type { PoolStatus as _switchyard_v1_PoolStatus, PoolStatus__Output as _switchyard_v1_PoolStatus__Output } from '../../switchyard/v1/PoolStatus.ts';
import type { DependencyStatus as _switchyard_v1_DependencyStatus, DependencyStatus__Output as _switchyard_v1_DependencyStatus__Output } from '../../switchyard/v1/DependencyStatus.ts';

export interface ListAgentsResponse {
  'agents'?: (_switchyard_v1_AgentStatus)[];
  'holds'?: (_switchyard_v1_HoldStatus)[];
  'pools'?: (_switchyard_v1_PoolStatus)[];
  'dependencies'?: (_switchyard_v1_DependencyStatus)[];
}

export interface ListAgentsResponse__Output {
  'agents': (_switchyard_v1_AgentStatus__Output)[];
  'holds': (_switchyard_v1_HoldStatus__Output)[];
  'pools': (_switchyard_v1_PoolStatus__Output)[];
  'dependencies': (_switchyard_v1_DependencyStatus__Output)[];
}
