// Original file: proto/switchyard/v1/agent.proto


export interface RejectOffer {
  'token'?: (string);
  'reason'?: (string);
}

export interface RejectOffer__Output {
  'token': (string);
  'reason': (string);
}
