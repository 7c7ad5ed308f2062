// Original file: proto/switchyard/v1/cache.proto

import type { Usage as _switchyard_v1_Usage, Usage__Output as _switchyard_v1_Usage__Output } from '../../switchyard/v1/Usage.ts';
import type { Digest as _switchyard_v1_Digest, Digest__Output as _switchyard_v1_Digest__Output } from '../../switchyard/v1/Digest.ts';
import type { Long } from '@grpc/proto-loader';

export interface ResultDetail {
  'usage'?: (_switchyard_v1_Usage | null);
  'logTruncated'?: (boolean);
  'directoryBytes'?: (number | string | Long)[];
  'log'?: (_switchyard_v1_Digest | null);
}

export interface ResultDetail__Output {
  'usage': (_switchyard_v1_Usage__Output | null);
  'logTruncated': (boolean);
  'directoryBytes': (string)[];
  'log': (_switchyard_v1_Digest__Output | null);
}
