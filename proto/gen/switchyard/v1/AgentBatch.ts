// Original file: proto/switchyard/v1/agent.proto

import type { AgentMessage as _switchyard_v1_AgentMessage, AgentMessage__Output as _switchyard_v1_AgentMessage__Output } from '../../switchyard/v1/AgentMessage.ts';

export interface AgentBatch {
  'messages'?: (_switchyard_v1_AgentMessage)[];
}

export interface AgentBatch__Output {
  'messages': (_switchyard_v1_AgentMessage__Output)[];
}
