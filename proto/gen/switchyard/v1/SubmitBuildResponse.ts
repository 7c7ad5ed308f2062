// Original file: proto/switchyard/v1/build.proto


export interface SubmitBuildResponse {
  'buildId'?: (string);
  'existing'?: (boolean);
  'scope'?: (string);
}

export interface SubmitBuildResponse__Output {
  'buildId': (string);
  'existing': (boolean);
  'scope': (string);
}
