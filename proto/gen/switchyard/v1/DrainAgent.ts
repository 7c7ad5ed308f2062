// Original file: proto/switchyard/v1/agent.proto


export interface DrainAgent {
  'reason'?: (string);
}

export interface DrainAgent__Output {
  'reason': (string);
}
