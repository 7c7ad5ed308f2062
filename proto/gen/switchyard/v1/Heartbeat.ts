// Original file: proto/switchyard/v1/agent.proto


export interface Heartbeat {
  'tokens'?: (string)[];
  'credits'?: (number);
}

export interface Heartbeat__Output {
  'tokens': (string)[];
  'credits': (number);
}
