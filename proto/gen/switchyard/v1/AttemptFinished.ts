// Original file: proto/switchyard/v1/agent.proto

import type { AttemptReport as _switchyard_v1_AttemptReport, AttemptReport__Output as _switchyard_v1_AttemptReport__Output } from '../../switchyard/v1/AttemptReport.ts';

export interface AttemptFinished {
  'token'?: (string);
  'report'?: (_switchyard_v1_AttemptReport | null);
}

export interface AttemptFinished__Output {
  'token': (string);
  'report': (_switchyard_v1_AttemptReport__Output | null);
}
