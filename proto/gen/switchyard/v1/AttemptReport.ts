// Original file: proto/switchyard/v1/agent.proto

import type { FailureClass as _switchyard_v1_FailureClass, FailureClass__Output as _switchyard_v1_FailureClass__Output } from '../../switchyard/v1/FailureClass.ts';
import type { StepResult as _switchyard_v1_StepResult, StepResult__Output as _switchyard_v1_StepResult__Output } from '../../switchyard/v1/StepResult.ts';
import type { DependencyReport as _switchyard_v1_DependencyReport, DependencyReport__Output as _switchyard_v1_DependencyReport__Output } from '../../switchyard/v1/DependencyReport.ts';

export interface AttemptReport {
  'failureClass'?: (_switchyard_v1_FailureClass);
  'message'?: (string);
  'result'?: (_switchyard_v1_StepResult | null);
  'dependencies'?: (_switchyard_v1_DependencyReport)[];
  'staged'?: (boolean);
  'storeAway'?: (boolean);
}

export interface AttemptReport__Output {
  'failureClass': (_switchyard_v1_FailureClass__Output);
  'message': (string);
  'result': (_switchyard_v1_StepResult__Output | null);
  'dependencies': (_switchyard_v1_DependencyReport__Output)[];
  'staged': (boolean);
  'storeAway': (boolean);
}
