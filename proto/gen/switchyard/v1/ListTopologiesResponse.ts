// Original file: proto/switchyard/v1/build.proto

import type { TopologyRevision as _switchyard_v1_TopologyRevision, TopologyRevision__Output as _switchyard_v1_TopologyRevision__Output } from '../../switchyard/v1/TopologyRevision.ts';

export interface ListTopologiesResponse {
  'revisions'?: (_switchyard_v1_TopologyRevision)[];
}

export interface ListTopologiesResponse__Output {
  'revisions': (_switchyard_v1_TopologyRevision__Output)[];
}
