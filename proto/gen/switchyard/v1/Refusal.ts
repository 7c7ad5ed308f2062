// Original file: proto/switchyard/v1/data.proto

import type { Long } from '@grpc/proto-loader';

export interface Refusal {
  'actor'?: (string);
  'subject'?: (string);
  'detail'?: (string);
  'peer'?: (string);
  'count'?: (number | string | Long);
}

export interface Refusal__Output {
  'actor': (string);
  'subject': (string);
  'detail': (string);
  'peer': (string);
  'count': (string);
}
