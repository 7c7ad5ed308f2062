// Original file: proto/switchyard/v1/types.proto

import type { Digest as _switchyard_v1_Digest, Digest__Output as _switchyard_v1_Digest__Output } from '../../switchyard/v1/Digest.ts';
import type { Long } from '@grpc/proto-loader';

export interface OutputDirectory {
  'tree'?: (_switchyard_v1_Digest | null);
  'root'?: (_switchyard_v1_Digest | null);
  'bytes'?: (number | string | Long);
}

export interface OutputDirectory__Output {
  'tree': (_switchyard_v1_Digest__Output | null);
  'root': (_switchyard_v1_Digest__Output | null);
  'bytes': (string);
}
