// Original file: proto/switchyard/v1/build.proto

import type { StepVerdict as _switchyard_v1_StepVerdict, StepVerdict__Output as _switchyard_v1_StepVerdict__Output } from '../../switchyard/v1/StepVerdict.ts';
import type { ResultSource as _switchyard_v1_ResultSource, ResultSource__Output as _switchyard_v1_ResultSource__Output } from '../../switchyard/v1/ResultSource.ts';
import type { FailureClass as _switchyard_v1_FailureClass, FailureClass__Output as _switchyard_v1_FailureClass__Output } from '../../switchyard/v1/FailureClass.ts';
import type { StepResult as _switchyard_v1_StepResult, StepResult__Output as _switchyard_v1_StepResult__Output } from '../../switchyard/v1/StepResult.ts';

export interface StepEnded {
  'verdict'?: (_switchyard_v1_StepVerdict);
  'source'?: (_switchyard_v1_ResultSource);
  'message'?: (string);
  'failureClass'?: (_switchyard_v1_FailureClass);
  'result'?: (_switchyard_v1_StepResult | null);
}

export interface StepEnded__Output {
  'verdict': (_switchyard_v1_StepVerdict__Output);
  'source': (_switchyard_v1_ResultSource__Output);
  'message': (string);
  'failureClass': (_switchyard_v1_FailureClass__Output);
  'result': (_switchyard_v1_StepResult__Output | null);
}
