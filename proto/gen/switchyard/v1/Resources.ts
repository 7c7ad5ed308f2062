// Original file: proto/switchyard/v1/types.proto

import type { Long } from '@grpc/proto-loader';

export interface Resources {
  'cpuMillis'?: (number | string | Long);
  'memoryBytes'?: (number | string | Long);
  'slots'?: (number);
  'custom'?: ({[key: string]: number | string | Long});
}

export interface Resources__Output {
  'cpuMillis': (string);
  'memoryBytes': (string);
  'slots': (number);
  'custom': ({[key: string]: string});
}
