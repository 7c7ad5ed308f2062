// Original file: proto/switchyard/v1/data.proto

import type { Long } from '@grpc/proto-loader';

export interface PlanUploadResponse {
  'pack'?: (string);
  'url'?: (string);
  'headers'?: ({[key: string]: string});
  'expiresAtMs'?: (number | string | Long);
}

export interface PlanUploadResponse__Output {
  'pack': (string);
  'url': (string);
  'headers': ({[key: string]: string});
  'expiresAtMs': (string);
}
