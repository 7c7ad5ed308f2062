// Original file: proto/switchyard/v1/agent.proto


export interface AgentDraining {
  'reason'?: (string);
}

export interface AgentDraining__Output {
  'reason': (string);
}
