// Original file: proto/switchyard/v1/identity.proto

import type { Long } from '@grpc/proto-loader';

export interface EnrolResponse {
  'certificate'?: (string);
  'authorities'?: (string);
  'validMs'?: (number | string | Long);
}

export interface EnrolResponse__Output {
  'certificate': (string);
  'authorities': (string);
  'validMs': (string);
}
