// Original file: proto/switchyard/v1/types.proto

import type { Long } from '@grpc/proto-loader';

export interface Usage {
  'cpuMs'?: (number | string | Long);
  'peakMemoryBytes'?: (number | string | Long);
  'bytesIn'?: (number | string | Long);
  'bytesOut'?: (number | string | Long);
  'prepareMs'?: (number | string | Long);
  'runMs'?: (number | string | Long);
  'uploadMs'?: (number | string | Long);
}

export interface Usage__Output {
  'cpuMs': (string);
  'peakMemoryBytes': (string);
  'bytesIn': (string);
  'bytesOut': (string);
  'prepareMs': (string);
  'runMs': (string);
  'uploadMs': (string);
}
