// Original file: proto/switchyard/v1/build.proto

import type { StepPhase as _switchyard_v1_StepPhase, StepPhase__Output as _switchyard_v1_StepPhase__Output } from '../../switchyard/v1/StepPhase.ts';
import type { StepVerdict as _switchyard_v1_StepVerdict, StepVerdict__Output as _switchyard_v1_StepVerdict__Output } from '../../switchyard/v1/StepVerdict.ts';
import type { ResultSource as _switchyard_v1_ResultSource, ResultSource__Output as _switchyard_v1_ResultSource__Output } from '../../switchyard/v1/ResultSource.ts';
import type { FailureClass as _switchyard_v1_FailureClass, FailureClass__Output as _switchyard_v1_FailureClass__Output } from '../../switchyard/v1/FailureClass.ts';
import type { StepResult as _switchyard_v1_StepResult, StepResult__Output as _switchyard_v1_StepResult__Output } from '../../switchyard/v1/StepResult.ts';
import type { Attempt as _switchyard_v1_Attempt, Attempt__Output as _switchyard_v1_Attempt__Output } from '../../switchyard/v1/Attempt.ts';
import type { Digest as _switchyard_v1_Digest, Digest__Output as _switchyard_v1_Digest__Output } from '../../switchyard/v1/Digest.ts';
import type { DependencyCacheState as _switchyard_v1_DependencyCacheState, DependencyCacheState__Output as _switchyard_v1_DependencyCacheState__Output } from '../../switchyard/v1/DependencyCacheState.ts';
import type { Long } from '@grpc/proto-loader';

export interface Step {
  'name'?: (string);
  'phase'?: (_switchyard_v1_StepPhase);
  'verdict'?: (_switchyard_v1_StepVerdict);
  'source'?: (_switchyard_v1_ResultSource);
  'message'?: (string);
  'failureClass'?: (_switchyard_v1_FailureClass);
  'result'?: (_switchyard_v1_StepResult | null);
  'attempts'?: (_switchyard_v1_Attempt)[];
  'readyAtMs'?: (number | string | Long);
  'startedAtMs'?: (number | string | Long);
  'endedAtMs'?: (number | string | Long);
  'needs'?: (string)[];
  'critical'?: (boolean);
  'action'?: (_switchyard_v1_Digest | null);
  'mergedInto'?: (string);
  'missingOutputs'?: (string)[];
  'dependencyCaches'?: (_switchyard_v1_DependencyCacheState)[];
}

export interface Step__Output {
  'name': (string);
  'phase': (_switchyard_v1_StepPhase__Output);
  'verdict': (_switchyard_v1_StepVerdict__Output);
  'source': (_switchyard_v1_ResultSource__Output);
  'message': (string);
  'failureClass': (_switchyard_v1_FailureClass__Output);
  'result': (_switchyard_v1_StepResult__Output | null);
  'attempts': (_switchyard_v1_Attempt__Output)[];
  'readyAtMs': (string);
  'startedAtMs': (string);
  'endedAtMs': (string);
  'needs': (string)[];
  'critical': (boolean);
  'action': (_switchyard_v1_Digest__Output | null);
  'mergedInto': (string);
  'missingOutputs': (string)[];
  'dependencyCaches': (_switchyard_v1_DependencyCacheState__Output)[];
}
