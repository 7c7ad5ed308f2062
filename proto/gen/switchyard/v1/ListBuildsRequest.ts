// Original file: proto/switchyard/v1/build.proto

import type { BuildPhase as _switchyard_v1_BuildPhase, BuildPhase__Output as _switchyard_v1_BuildPhase__Output } from '../../switchyard/v1/BuildPhase.ts';
import type { BuildVerdict as _switchyard_v1_BuildVerdict, BuildVerdict__Output as _switchyard_v1_BuildVerdict__Output } from '../../switchyard/v1/BuildVerdict.ts';

export interface ListBuildsRequest {
  'labels'?: ({[key: string]: string});
  'phase'?: (_switchyard_v1_BuildPhase);
  'verdict'?: (_switchyard_v1_BuildVerdict);
  'pageSize'?: (number);
  'pageToken'?: (string);
}

export interface ListBuildsRequest__Output {
  'labels': ({[key: string]: string});
  'phase': (_switchyard_v1_BuildPhase__Output);
  'verdict': (_switchyard_v1_BuildVerdict__Output);
  'pageSize': (number);
  'pageToken': (string);
}
