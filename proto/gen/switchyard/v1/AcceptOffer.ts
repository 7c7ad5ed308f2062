// Original file: proto/switchyard/v1/agent.proto


export interface AcceptOffer {
  'token'?: (string);
}

export interface AcceptOffer__Output {
  'token': (string);
}
