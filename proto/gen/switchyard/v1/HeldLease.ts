// Original file: proto/switchyard/v1/agent.proto

import type { AttemptReport as _switchyard_v1_AttemptReport, AttemptReport__Output as _switchyard_v1_AttemptReport__Output } from '../../switchyard/v1/AttemptReport.ts';

export interface HeldLease {
  'token'?: (string);
  'started'?: (boolean);
  'finished'?: (_switchyard_v1_AttemptReport | null);
}

export interface HeldLease__Output {
  'token': (string);
  'started': (boolean);
  'finished': (_switchyard_v1_AttemptReport__Output | null);
}
