// Original file: proto/switchyard/v1/data.proto

import type { PackReads as _switchyard_v1_PackReads, PackReads__Output as _switchyard_v1_PackReads__Output } from '../../switchyard/v1/PackReads.ts';
import type { LargeBlob as _switchyard_v1_LargeBlob, LargeBlob__Output as _switchyard_v1_LargeBlob__Output } from '../../switchyard/v1/LargeBlob.ts';
import type { Digest as _switchyard_v1_Digest, Digest__Output as _switchyard_v1_Digest__Output } from '../../switchyard/v1/Digest.ts';
import type { Long } from '@grpc/proto-loader';

export interface PlanReadsResponse {
  'packs'?: (_switchyard_v1_PackReads)[];
  'large'?: (_switchyard_v1_LargeBlob)[];
  'notDirect'?: (_switchyard_v1_Digest)[];
  'urlTtlMs'?: (number | string | Long);
}

export interface PlanReadsResponse__Output {
  'packs': (_switchyard_v1_PackReads__Output)[];
  'large': (_switchyard_v1_LargeBlob__Output)[];
  'notDirect': (_switchyard_v1_Digest__Output)[];
  'urlTtlMs': (string);
}
