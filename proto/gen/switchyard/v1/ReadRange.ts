// Original file: proto/switchyard/v1/data.proto

import type { ReadPart as _switchyard_v1_ReadPart, ReadPart__Output as _switchyard_v1_ReadPart__Output } from '../../switchyard/v1/ReadPart.ts';
import type { Long } from '@grpc/proto-loader';

export interface ReadRange {
  'url'?: (string);
  'offset'?: (number | string | Long);
  'length'?: (number | string | Long);
  'zstd'?: (boolean);
  'rawLength'?: (number | string | Long);
  'parts'?: (_switchyard_v1_ReadPart)[];
}

export interface ReadRange__Output {
  'url': (string);
  'offset': (string);
  'length': (string);
  'zstd': (boolean);
  'rawLength': (string);
  'parts': (_switchyard_v1_ReadPart__Output)[];
}
