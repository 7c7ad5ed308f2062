// Original file: proto/switchyard/v1/agent.proto


export interface AttemptRunning {
  'token'?: (string);
}

export interface AttemptRunning__Output {
  'token': (string);
}
