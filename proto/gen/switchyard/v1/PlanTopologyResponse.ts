// Original file: proto/switchyard/v1/build.proto

import type { TopologyProblem as _switchyard_v1_TopologyProblem, TopologyProblem__Output as _switchyard_v1_TopologyProblem__Output } from '../../switchyard/v1/TopologyProblem.ts';
import type { TopologyAgentChange as _switchyard_v1_TopologyAgentChange, TopologyAgentChange__Output as _switchyard_v1_TopologyAgentChange__Output } from '../../switchyard/v1/TopologyAgentChange.ts';
import type { StrandedSteps as _switchyard_v1_StrandedSteps, StrandedSteps__Output as _switchyard_v1_StrandedSteps__Output } from '../../switchyard/v1/StrandedSteps.ts';

export interface PlanTopologyResponse {
  'problems'?: (_switchyard_v1_TopologyProblem)[];
  'baseDigest'?: (string);
  'digest'?: (string);
  'changes'?: (string)[];
  'agents'?: (_switchyard_v1_TopologyAgentChange)[];
  'stranded'?: (_switchyard_v1_StrandedSteps)[];
}

export interface PlanTopologyResponse__Output {
  'problems': (_switchyard_v1_TopologyProblem__Output)[];
  'baseDigest': (string);
  'digest': (string);
  'changes': (string)[];
  'agents': (_switchyard_v1_TopologyAgentChange__Output)[];
  'stranded': (_switchyard_v1_StrandedSteps__Output)[];
}
