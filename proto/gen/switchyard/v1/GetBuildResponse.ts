// Original file: proto/switchyard/v1/build.proto

import type { BuildSummary as _switchyard_v1_BuildSummary, BuildSummary__Output as _switchyard_v1_BuildSummary__Output } from '../../switchyard/v1/BuildSummary.ts';
import type { Step as _switchyard_v1_Step, Step__Output as _switchyard_v1_Step__Output } from '../../switchyard/v1/Step.ts';

export interface GetBuildResponse {
  'build'?: (_switchyard_v1_BuildSummary | null);
  'steps'?: (_switchyard_v1_Step)[];
  'cursor'?: (string);
  'nextPageToken'?: (string);
}

export interface GetBuildResponse__Output {
  'build': (_switchyard_v1_BuildSummary__Output | null);
  'steps': (_switchyard_v1_Step__Output)[];
  'cursor': (string);
  'nextPageToken': (string);
}
