// Original file: proto/switchyard/v1/data.proto

import type { Digest as _switchyard_v1_Digest, Digest__Output as _switchyard_v1_Digest__Output } from '../../switchyard/v1/Digest.ts';

export interface CommitUploadResponse {
  'digests'?: (_switchyard_v1_Digest)[];
}

export interface CommitUploadResponse__Output {
  'digests': (_switchyard_v1_Digest__Output)[];
}
