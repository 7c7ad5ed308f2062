// Original file: proto/switchyard/v1/data.proto

import type { Long } from '@grpc/proto-loader';

export interface PlanUploadRequest {
  'instanceName'?: (string);
  'length'?: (number | string | Long);
  'sha256'?: (Buffer | Uint8Array | string);
}

export interface PlanUploadRequest__Output {
  'instanceName': (string);
  'length': (string);
  'sha256': (Buffer);
}
