// Original file: proto/switchyard/v1/types.proto

import type { Digest as _switchyard_v1_Digest, Digest__Output as _switchyard_v1_Digest__Output } from '../../switchyard/v1/Digest.ts';

export interface OutputFile {
  'digest'?: (_switchyard_v1_Digest | null);
  'executable'?: (boolean);
}

export interface OutputFile__Output {
  'digest': (_switchyard_v1_Digest__Output | null);
  'executable': (boolean);
}
