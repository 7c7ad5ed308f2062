// Original file: proto/switchyard/v1/build.proto

import type { BuildSummary as _switchyard_v1_BuildSummary, BuildSummary__Output as _switchyard_v1_BuildSummary__Output } from '../../switchyard/v1/BuildSummary.ts';

export interface ListBuildsResponse {
  'builds'?: (_switchyard_v1_BuildSummary)[];
  'nextPageToken'?: (string);
}

export interface ListBuildsResponse__Output {
  'builds': (_switchyard_v1_BuildSummary__Output)[];
  'nextPageToken': (string);
}
