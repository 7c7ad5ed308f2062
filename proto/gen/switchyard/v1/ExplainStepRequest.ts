// Original file: proto/switchyard/v1/build.proto


export interface ExplainStepRequest {
  'buildId'?: (string);
  'step'?: (string);
}

export interface ExplainStepRequest__Output {
  'buildId': (string);
  'step': (string);
}
