// Original file: proto/switchyard/v1/build.proto


export interface SubmitBuildResponse {
  'buildId'?: (string);
  'existing'?: (boolean);
}

export interface SubmitBuildResponse__Output {
  'buildId': (string);
  'existing': (boolean);
}
