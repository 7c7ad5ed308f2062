// Original file: proto/switchyard/v1/build.proto

import type { BuildPhase as _switchyard_v1_BuildPhase, BuildPhase__Output as _switchyard_v1_BuildPhase__Output } from '../../switchyard/v1/BuildPhase.ts';
import type { BuildVerdict as _switchyard_v1_BuildVerdict, BuildVerdict__Output as _switchyard_v1_BuildVerdict__Output } from '../../switchyard/v1/BuildVerdict.ts';
import type { Long } from '@grpc/proto-loader';

export interface BuildSummary {
  'id'?: (string);
  'name'?: (string);
  'project'?: (string);
  'phase'?: (_switchyard_v1_BuildPhase);
  'verdict'?: (_switchyard_v1_BuildVerdict);
  'labels'?: ({[key: string]: string});
  'submittedBy'?: (string);
  'acceptedAtMs'?: (number | string | Long);
  'endedAtMs'?: (number | string | Long);
  'stepsTotal'?: (number);
  'stepsEnded'?: (number);
  'stepsFromCache'?: (number);
  'degraded'?: (string)[];
}

export interface BuildSummary__Output {
  'id': (string);
  'name': (string);
  'project': (string);
  'phase': (_switchyard_v1_BuildPhase__Output);
  'verdict': (_switchyard_v1_BuildVerdict__Output);
  'labels': ({[key: string]: string});
  'submittedBy': (string);
  'acceptedAtMs': (string);
  'endedAtMs': (string);
  'stepsTotal': (number);
  'stepsEnded': (number);
  'stepsFromCache': (number);
  'degraded': (string)[];
}
