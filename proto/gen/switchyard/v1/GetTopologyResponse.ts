// Original file: proto/switchyard/v1/build.proto

import type { TopologyRevision as _switchyard_v1_TopologyRevision, TopologyRevision__Output as _switchyard_v1_TopologyRevision__Output } from '../../switchyard/v1/TopologyRevision.ts';

export interface GetTopologyResponse {
  'revision'?: (_switchyard_v1_TopologyRevision | null);
  'text'?: (string);
}

export interface GetTopologyResponse__Output {
  'revision': (_switchyard_v1_TopologyRevision__Output | null);
  'text': (string);
}
