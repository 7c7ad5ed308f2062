// Original file: proto/switchyard/v1/data.proto

import type { Digest as _switchyard_v1_Digest, Digest__Output as _switchyard_v1_Digest__Output } from '../../switchyard/v1/Digest.ts';

export interface LargeBlob {
  'digest'?: (_switchyard_v1_Digest | null);
  'pieces'?: (_switchyard_v1_Digest)[];
}

export interface LargeBlob__Output {
  'digest': (_switchyard_v1_Digest__Output | null);
  'pieces': (_switchyard_v1_Digest__Output)[];
}
