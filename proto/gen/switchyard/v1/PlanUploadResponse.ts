// Original file: proto/switchyard/v1/data.proto

import type { Long } from '@grpc/proto-loader';

export interface PlanUploadResponse {
  'upload'?: (string);
  'url'?: (string);
  'headers'?: ({[key: string]: string});
  'urlTtlMs'?: (number | string | Long);
}

export interface PlanUploadResponse__Output {
  'upload': (string);
  'url': (string);
  'headers': ({[key: string]: string});
  'urlTtlMs': (string);
}
