// Original file: proto/switchyard/v1/build.proto


export interface RetryStepRequest {
  'buildId'?: (string);
  'step'?: (string);
}

export interface RetryStepRequest__Output {
  'buildId': (string);
  'step': (string);
}
