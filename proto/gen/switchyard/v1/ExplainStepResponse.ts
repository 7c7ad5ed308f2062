// Original file: proto/switchyard/v1/build.proto

import type { StepPhase as _switchyard_v1_StepPhase, StepPhase__Output as _switchyard_v1_StepPhase__Output } from '../../switchyard/v1/StepPhase.ts';
import type { AgentFit as _switchyard_v1_AgentFit, AgentFit__Output as _switchyard_v1_AgentFit__Output } from '../../switchyard/v1/AgentFit.ts';
import type { ScoreTerm as _switchyard_v1_ScoreTerm, ScoreTerm__Output as _switchyard_v1_ScoreTerm__Output } from '../../switchyard/v1/ScoreTerm.ts';

export interface ExplainStepResponse {
  'phase'?: (_switchyard_v1_StepPhase);
  'summary'?: (string);
  'reasons'?: (string)[];
  'queuePosition'?: (number);
  'nearest'?: (_switchyard_v1_AgentFit)[];
  'placement'?: (_switchyard_v1_ScoreTerm)[];
  'cache'?: (string)[];
  'dependencyCaches'?: (string)[];
}

export interface ExplainStepResponse__Output {
  'phase': (_switchyard_v1_StepPhase__Output);
  'summary': (string);
  'reasons': (string)[];
  'queuePosition': (number);
  'nearest': (_switchyard_v1_AgentFit__Output)[];
  'placement': (_switchyard_v1_ScoreTerm__Output)[];
  'cache': (string)[];
  'dependencyCaches': (string)[];
}
