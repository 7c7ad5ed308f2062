// Original file: proto/switchyard/v1/agent.proto


export interface Heartbeat {
  'tokens'?: (string)[];
  'credits'?: (number);
  'cordonReason'?: (string);
}

export interface Heartbeat__Output {
  'tokens': (string)[];
  'credits': (number);
  'cordonReason': (string);
}
