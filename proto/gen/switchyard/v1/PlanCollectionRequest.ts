// Original file: proto/switchyard/v1/cache.proto


export interface PlanCollectionRequest {
  'instanceName'?: (string);
}

export interface PlanCollectionRequest__Output {
  'instanceName': (string);
}
