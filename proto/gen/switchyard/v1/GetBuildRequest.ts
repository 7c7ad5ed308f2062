// Original file: proto/switchyard/v1/build.proto


export interface GetBuildRequest {
  'buildId'?: (string);
}

export interface GetBuildRequest__Output {
  'buildId': (string);
}
