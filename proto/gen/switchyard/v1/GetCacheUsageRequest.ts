// Original file: proto/switchyard/v1/cache.proto


export interface GetCacheUsageRequest {
  'instanceName'?: (string);
}

export interface GetCacheUsageRequest__Output {
  'instanceName': (string);
}
