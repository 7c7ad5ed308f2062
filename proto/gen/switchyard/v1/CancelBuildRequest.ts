// Original file: proto/switchyard/v1/build.proto


export interface CancelBuildRequest {
  'buildId'?: (string);
  'step'?: (string);
  'reason'?: (string);
}

export interface CancelBuildRequest__Output {
  'buildId': (string);
  'step': (string);
  'reason': (string);
}
