// Original file: proto/switchyard/v1/data.proto

import type { Digest as _switchyard_v1_Digest, Digest__Output as _switchyard_v1_Digest__Output } from '../../switchyard/v1/Digest.ts';
import type { Long } from '@grpc/proto-loader';

export interface BlobInFrame {
  'digest'?: (_switchyard_v1_Digest | null);
  'offset'?: (number | string | Long);
  'length'?: (number | string | Long);
}

export interface BlobInFrame__Output {
  'digest': (_switchyard_v1_Digest__Output | null);
  'offset': (string);
  'length': (string);
}
