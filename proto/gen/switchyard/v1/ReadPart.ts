// Original file: proto/switchyard/v1/data.proto

import type { Digest as _switchyard_v1_Digest, Digest__Output as _switchyard_v1_Digest__Output } from '../../switchyard/v1/Digest.ts';
import type { Long } from '@grpc/proto-loader';

export interface ReadPart {
  'digest'?: (_switchyard_v1_Digest | null);
  'blobOffset'?: (number | string | Long);
  'offset'?: (number | string | Long);
  'length'?: (number | string | Long);
}

export interface ReadPart__Output {
  'digest': (_switchyard_v1_Digest__Output | null);
  'blobOffset': (string);
  'offset': (string);
  'length': (string);
}
