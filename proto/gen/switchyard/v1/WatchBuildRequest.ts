// Original file: proto/switchyard/v1/build.proto


export interface WatchBuildRequest {
  'buildId'?: (string);
  'cursor'?: (string);
  'bundles'?: (boolean);
}

export interface WatchBuildRequest__Output {
  'buildId': (string);
  'cursor': (string);
  'bundles': (boolean);
}
