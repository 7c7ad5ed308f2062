// Original file: proto/switchyard/v1/build.proto

import type { Long } from '@grpc/proto-loader';

export interface Attempt {
  'number'?: (number);
  'token'?: (string);
  'agent'?: (string);
  'acceptedAtMs'?: (number | string | Long);
  'endedAtMs'?: (number | string | Long);
  'endedWhy'?: (string);
}

export interface Attempt__Output {
  'number': (number);
  'token': (string);
  'agent': (string);
  'acceptedAtMs': (string);
  'endedAtMs': (string);
  'endedWhy': (string);
}
