// Original file: proto/switchyard/v1/build.proto


export interface GetEnvironmentRequest {
  'name'?: (string);
}

export interface GetEnvironmentRequest__Output {
  'name': (string);
}
