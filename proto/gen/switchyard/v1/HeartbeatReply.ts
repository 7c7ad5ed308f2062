// Original file: proto/switchyard/v1/agent.proto

import type { LeaseVerdict as _switchyard_v1_LeaseVerdict, LeaseVerdict__Output as _switchyard_v1_LeaseVerdict__Output } from '../../switchyard/v1/LeaseVerdict.ts';

export interface HeartbeatReply {
  'leases'?: (_switchyard_v1_LeaseVerdict)[];
}

export interface HeartbeatReply__Output {
  'leases': (_switchyard_v1_LeaseVerdict__Output)[];
}
