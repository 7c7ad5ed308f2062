// Original file: proto/switchyard/v1/build.proto


export interface GetBuildRequest {
  'buildId'?: (string);
  'pageToken'?: (string);
}

export interface GetBuildRequest__Output {
  'buildId': (string);
  'pageToken': (string);
}
