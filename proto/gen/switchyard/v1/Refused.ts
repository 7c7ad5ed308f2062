// Original file: proto/switchyard/v1/agent.proto


export interface Refused {
  'retry'?: (boolean);
  'reason'?: (string);
  'leaderAddress'?: (string);
}

export interface Refused__Output {
  'retry': (boolean);
  'reason': (string);
  'leaderAddress': (string);
}
