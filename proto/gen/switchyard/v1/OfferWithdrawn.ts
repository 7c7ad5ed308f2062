// Original file: proto/switchyard/v1/agent.proto


export interface OfferWithdrawn {
  'token'?: (string);
}

export interface OfferWithdrawn__Output {
  'token': (string);
}
