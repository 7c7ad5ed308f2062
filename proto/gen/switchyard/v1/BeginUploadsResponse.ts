// Original file: proto/switchyard/v1/data.proto

import type { Long } from '@grpc/proto-loader';

export interface BeginUploadsResponse {
  'project'?: (string);
  'scope'?: (string);
  'producer'?: (string);
  'writtenAtMs'?: (number | string | Long);
}

export interface BeginUploadsResponse__Output {
  'project': (string);
  'scope': (string);
  'producer': (string);
  'writtenAtMs': (string);
}
