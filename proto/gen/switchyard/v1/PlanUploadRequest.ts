// Original file: proto/switchyard/v1/data.proto

import type { Long } from '@grpc/proto-loader';

export interface PlanUploadRequest {
  'instanceName'?: (string);
  'sizeBytes'?: (number | string | Long);
  'sha256'?: (string);
}

export interface PlanUploadRequest__Output {
  'instanceName': (string);
  'sizeBytes': (string);
  'sha256': (string);
}
