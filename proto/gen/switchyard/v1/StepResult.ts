// Original file: proto/switchyard/v1/types.proto

import type { OutputEntry as _switchyard_v1_OutputEntry, OutputEntry__Output as _switchyard_v1_OutputEntry__Output } from '../../switchyard/v1/OutputEntry.ts';
import type { Digest as _switchyard_v1_Digest, Digest__Output as _switchyard_v1_Digest__Output } from '../../switchyard/v1/Digest.ts';
import type { Usage as _switchyard_v1_Usage, Usage__Output as _switchyard_v1_Usage__Output } from '../../switchyard/v1/Usage.ts';
import type { Long } from '@grpc/proto-loader';

export interface StepResult {
  'exitCode'?: (number);
  'outputs'?: (_switchyard_v1_OutputEntry)[];
  'log'?: (_switchyard_v1_Digest | null);
  'logTruncated'?: (boolean);
  'usage'?: (_switchyard_v1_Usage | null);
  'agent'?: (string);
  'startedAtMs'?: (number | string | Long);
  'endedAtMs'?: (number | string | Long);
  'stdout'?: (_switchyard_v1_Digest | null);
  'stderr'?: (_switchyard_v1_Digest | null);
}

export interface StepResult__Output {
  'exitCode': (number);
  'outputs': (_switchyard_v1_OutputEntry__Output)[];
  'log': (_switchyard_v1_Digest__Output | null);
  'logTruncated': (boolean);
  'usage': (_switchyard_v1_Usage__Output | null);
  'agent': (string);
  'startedAtMs': (string);
  'endedAtMs': (string);
  'stdout': (_switchyard_v1_Digest__Output | null);
  'stderr': (_switchyard_v1_Digest__Output | null);
}
